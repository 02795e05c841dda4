-- The heads of the reports. The entries of each are in a file of its own.

CREATE TABLE report (
    file_name TEXT    PRIMARY KEY NOT NULL CONSTRAINT report_file_name CHECK (file_name <> ''),
    generated INTEGER NOT NULL,
    installed INTEGER NOT NULL CONSTRAINT report_installed CHECK (installed BETWEEN 0 AND 4294967295),
    issued    INTEGER NOT NULL CONSTRAINT report_issued CHECK (issued BETWEEN 0 AND 4294967295)
) STRICT, WITHOUT ROWID;
