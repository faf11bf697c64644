-- The databases of a facility's Tiled, made once by whoever runs PostgreSQL (15 or newer):
--
--   psql --dbname postgres --file databases.sql
--   psql --dbname postgres --command '\password beamline'
--
-- Three, so that no table of points is near those that say who may do what.
CREATE ROLE beamline LOGIN;
CREATE DATABASE beamline_catalog OWNER beamline;
CREATE DATABASE beamline_tables OWNER beamline;
CREATE DATABASE beamline_accounts OWNER beamline;
