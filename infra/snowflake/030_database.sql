-- Schemas with managed access: who creates a table cannot give it away. RAW keeps its past longest;
-- what dbt makes can be made again.
use role SYSADMIN;

create database if not exists ${database}
    data_retention_time_in_days = 1
    comment = 'Segue: plays, and what is made of them';

create schema if not exists ${database}.RAW with managed access
    data_retention_time_in_days = ${retention_days}
    comment = 'What the sinks landed, untouched';

create schema if not exists ${database}.GOVERNANCE with managed access
    comment = 'Policies';

create schema if not exists ${database}.STAGING with managed access;

create schema if not exists ${database}.INTERMEDIATE with managed access;

create schema if not exists ${database}.SNAPSHOTS with managed access
    data_retention_time_in_days = ${retention_days}
    comment = 'Versions of listeners: history that no build brings back';

create schema if not exists ${database}.MARTS with managed access;

create schema if not exists ${database}.DBT_TEST__AUDIT with managed access
    comment = 'Rows that dbt tests keep';
