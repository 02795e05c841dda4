-- Who may use this license server, and the audit log as a hash chain.

-- key is the name in lower case.
CREATE TABLE account (
    key         TEXT    PRIMARY KEY NOT NULL CONSTRAINT account_key CHECK (key <> ''),
    name        TEXT    NOT NULL,
    role        TEXT    NOT NULL,
    password    TEXT    NOT NULL,
    nt_hash     BLOB    NOT NULL,
    certificate BLOB    NOT NULL,
    changed     INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX account_by_certificate ON account (certificate) WHERE certificate <> x'';

ALTER TABLE audit_record ADD COLUMN remote    TEXT NOT NULL DEFAULT '';
ALTER TABLE audit_record ADD COLUMN mechanism TEXT NOT NULL DEFAULT '';
-- Empty in the records that were there before.
ALTER TABLE audit_record ADD COLUMN hash      BLOB NOT NULL DEFAULT x'';

-- The newest record, and the last one that was there before. hash is empty until a record is chained.
CREATE TABLE audit_head (
    id        INTEGER PRIMARY KEY CONSTRAINT audit_head_is_one CHECK (id = 1),
    seq       INTEGER NOT NULL CONSTRAINT audit_head_seq CHECK (seq >= 0),
    hash      BLOB    NOT NULL CONSTRAINT audit_head_hash CHECK (length(hash) IN (0, 32)),
    unchained INTEGER NOT NULL CONSTRAINT audit_head_unchained CHECK (unchained >= 0)
) STRICT;

INSERT INTO audit_head SELECT 1, ifnull(max(seq), 0), x'', ifnull(max(seq), 0) FROM audit_record;
