-- The two users of a run, with what they need and no more. The user who applies the schema is a third one.
-- Replace the passwords, and `zakaz` where the database has another name. For users in XML the same grants stand in
-- deploy/clickhouse/users.d/least_privilege.xml.sample.

-- The loader: reads what it wrote before, writes, and asks for the columns of its tables.
CREATE USER IF NOT EXISTS loader IDENTIFIED WITH sha256_password BY 'replace-me';
GRANT SELECT, INSERT ON zakaz.* TO loader;

-- The verifier: reads the data and the log tables. It changes nothing.
CREATE USER IF NOT EXISTS verifier IDENTIFIED WITH sha256_password BY 'replace-me';
GRANT SELECT ON zakaz.* TO verifier;
-- The log tables of the run, those that an upgrade renamed (query_log_0, ...), and the catalog. Where the server's
-- access_control_improvements/select_from_system_db_requires_grant is off, SHOW USERS ON *.* is needed too.
GRANT SELECT ON system.* TO verifier;
-- So that statements of a second ago are found.
GRANT SYSTEM FLUSH LOGS ON *.* TO verifier;
