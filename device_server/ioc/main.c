/* beamline-ioc: a simulated XAFS beamline behind EPICS. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "options.h"
#include "ports.h"
#include "probe.h"
#include "server.h"

#define START_DEADLINE_S 60
#define EXIT_PORT_TAKEN 3

static int complaints = STDERR_FILENO; /* where they go while EPICS is kept silent */

static int complain(const char *message)
{
    fprintf(stderr, "beamline-ioc: %s\n", message);
    return EXIT_FAILURE;
}

/* A server that does not get up must not look as if it would. */
static void too_late(int signal_number)
{
    static const char message[] = "beamline-ioc: did not start within its deadline\n";
    (void)signal_number;
    (void)!write(complaints, message, sizeof(message) - 1);
    _exit(EXIT_FAILURE);
}

/* Signals that end the server, as a file descriptor; blocked in this thread and all to come. */
static int end_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static void wait_for_end(int signals, bool with_stdin)
{
    struct pollfd waits[] = {{.fd = signals, .events = POLLIN},
                             {.fd = with_stdin ? STDIN_FILENO : -1, .events = POLLIN}};
    char ignored[256];
    for (;;) {
        if (poll(waits, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return;
        }
        if (waits[0].revents != 0)
            return;
        if (waits[1].revents != 0 && read(STDIN_FILENO, ignored, sizeof(ignored)) <= 0)
            return;
    }
}

/* EPICS prints a banner and the like where the one line that the server promises belongs. */
static int silence(int fd)
{
    const int kept = dup(fd);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    fflush(NULL);
    if (nowhere >= 0 && kept >= 0)
        dup2(nowhere, fd);
    if (nowhere >= 0)
        close(nowhere);
    return kept;
}

static void restore(int fd, int kept)
{
    fflush(NULL);
    if (kept < 0)
        return;
    dup2(kept, fd);
    close(kept);
}

static int start(const struct options *options, char *err, size_t errlen)
{
    if (options->verbose)
        return server_start(options, err, errlen);
    const int out = silence(STDOUT_FILENO);
    complaints = silence(STDERR_FILENO);
    const int status = server_start(options, err, errlen);
    restore(STDOUT_FILENO, out);
    restore(STDERR_FILENO, complaints);
    return status;
}

int main(int argc, char *argv[])
{
    struct options options;
    char err[BL_ERROR_LENGTH] = "";
    switch (options_parse(argc, argv, &options, err, sizeof(err))) {
    case OPTIONS_DONE:
        return EXIT_SUCCESS;
    case OPTIONS_BAD:
        return complain(err);
    case OPTIONS_RUN:
        break;
    }
    if (options.probe) {
        const int answer = probe(&options, err, sizeof(err));
        if (answer != BL_OK)
            complain(err);
        fflush(NULL);
        _exit(answer == BL_OK ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    const int signals = end_signals();
    signal(SIGALRM, too_late);
    alarm(START_DEADLINE_S);
    const int status = start(&options, err, sizeof(err));
    if (status != BL_OK) {
        complain(err);
        fflush(NULL);
        _exit(status == PORT_TAKEN
                  ? EXIT_PORT_TAKEN
                  : EXIT_FAILURE); /* the half of EPICS that may run has nothing to save */
    }
    alarm(0);
    printf("ready {\"prefix\": \"%s\", \"interface\": \"%s\", \"ca_port\": %d, \"pva_port\": %d, "
           "\"pid\": %ld}\n",
           options.prefix, options.interface, options.port, options.pva_port, (long)getpid());
    fflush(stdout);
    wait_for_end(signals, options.exit_with_stdin);
    server_stop();
    /* Nothing is to be saved. The exit handlers and destructors of EPICS would run beside its
       threads, which still answer clients, and crash now and then; the system closes what is open.
     */
    fflush(NULL);
    _exit(EXIT_SUCCESS);
}
