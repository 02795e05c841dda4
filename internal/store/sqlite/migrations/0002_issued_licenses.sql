-- The CALs that are issued, and to whom.
--
-- What 0001 says of instants and of key_pack_id holds here, too, except that there is no zero instant in the columns by
-- which rows are swept: expires of cal and lease, at of denial and answer. Few indexes: each costs every issue a page.

ALTER TABLE key_pack ADD COLUMN over_use    TEXT    NOT NULL DEFAULT '';
ALTER TABLE key_pack ADD COLUMN warn_at     INTEGER NOT NULL DEFAULT 0 CONSTRAINT key_pack_warn_at CHECK (warn_at BETWEEN 0 AND 4294967295);
ALTER TABLE key_pack ADD COLUMN deny_beyond INTEGER NOT NULL DEFAULT 0 CONSTRAINT key_pack_deny_beyond CHECK (deny_beyond BETWEEN 0 AND 4294967295);

-- 0: no CAL is concerned.
ALTER TABLE audit_record ADD COLUMN license_id INTEGER NOT NULL DEFAULT 0 CONSTRAINT audit_record_license_id CHECK (license_id BETWEEN 0 AND 4294967295);

-- slot is what a holder has only one of: 0 a full CAL, the product version a temporary one. It is NULL for a revoked CAL
-- (status 4), so that UNIQUE leaves those alone and one index finds all CALs of a holder.
CREATE TABLE cal (
    id              INTEGER PRIMARY KEY AUTOINCREMENT CONSTRAINT cal_id CHECK (id BETWEEN 1 AND 4294967295),
    key_pack_id     INTEGER NOT NULL CONSTRAINT cal_key_pack_id CHECK (key_pack_id BETWEEN 3 AND 4294967295),
    product_version INTEGER NOT NULL CONSTRAINT cal_product_version CHECK (product_version >= 2 AND product_version <> 3),
    product_type    INTEGER NOT NULL CONSTRAINT cal_product_type CHECK (product_type IN (0, 1)),
    status          INTEGER NOT NULL CONSTRAINT cal_status CHECK (status >= 1),
    slot            INTEGER CONSTRAINT cal_slot CHECK ((slot IS NULL) = (status = 4) AND ifnull(slot, 0) >= 0),
    holder          TEXT    NOT NULL CONSTRAINT cal_holder CHECK (holder <> ''),
    user            TEXT    NOT NULL,
    device_id       TEXT    NOT NULL,
    device_name     TEXT    NOT NULL,
    host            TEXT    NOT NULL,
    validated       INTEGER NOT NULL CONSTRAINT cal_validated CHECK (validated IN (0, 1)),
    issued          INTEGER,
    expires         INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX cal_by_holder ON cal (holder, product_type, slot);
CREATE INDEX cal_by_key_pack ON cal (key_pack_id);
CREATE INDEX cal_by_expires ON cal (expires);
-- With slot, so that counting reads nothing else.
CREATE INDEX cal_revoked ON cal (product_version, product_type, slot, expires) WHERE slot IS NULL;

CREATE TABLE temporary_spent (
    holder          TEXT    NOT NULL CONSTRAINT temporary_spent_holder CHECK (holder <> ''),
    product_version INTEGER NOT NULL CONSTRAINT temporary_spent_product_version CHECK (product_version >= 2 AND product_version <> 3),
    at              INTEGER,
    PRIMARY KEY (holder, product_version)
) STRICT, WITHOUT ROWID;

CREATE TABLE host (
    name            TEXT    PRIMARY KEY NOT NULL CONSTRAINT host_name CHECK (name <> ''),
    product_version INTEGER NOT NULL CONSTRAINT host_product_version CHECK (product_version >= 2 AND product_version <> 3),
    mode            INTEGER NOT NULL CONSTRAINT host_mode CHECK (mode IN (0, 1)),
    concurrent      INTEGER NOT NULL CONSTRAINT host_concurrent CHECK (concurrent IN (0, 1)),
    lease_ttl       INTEGER NOT NULL CONSTRAINT host_lease_ttl CHECK (lease_ttl >= 0), -- in nanoseconds
    token_hash      BLOB    NOT NULL,
    certificate     BLOB    NOT NULL,
    added           INTEGER
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX host_by_token_hash ON host (token_hash) WHERE token_hash <> x'';
CREATE UNIQUE INDEX host_by_certificate ON host (certificate) WHERE certificate <> x'';

-- host is no foreign key: a lease is told apart by what it is called, whether or not the session host is registered.
CREATE TABLE lease (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    cal_id      INTEGER NOT NULL CONSTRAINT lease_cal_id REFERENCES cal (id) ON DELETE CASCADE,
    host        TEXT    NOT NULL,
    user        TEXT    NOT NULL,
    user_key    TEXT    NOT NULL,
    device_id   TEXT    NOT NULL,
    device_name TEXT    NOT NULL,
    device_key  TEXT    NOT NULL,
    session     TEXT    NOT NULL,
    provisional INTEGER NOT NULL CONSTRAINT lease_provisional CHECK (provisional IN (0, 1)),
    opened      INTEGER,
    expires     INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX lease_by_session ON lease (host, session) WHERE session <> '';
CREATE UNIQUE INDEX lease_by_device ON lease (host, user_key, device_key) WHERE session = '';
CREATE INDEX lease_by_host ON lease (host);
CREATE INDEX lease_by_user ON lease (user_key);
CREATE INDEX lease_by_cal ON lease (cal_id);
CREATE INDEX lease_by_expires ON lease (expires);

-- AUTOINCREMENT, as denials are removed some time.
CREATE TABLE denial (
    seq             INTEGER PRIMARY KEY AUTOINCREMENT,
    at              INTEGER NOT NULL,
    host            TEXT    NOT NULL,
    user            TEXT    NOT NULL,
    device_id       TEXT    NOT NULL,
    device_name     TEXT    NOT NULL,
    product_version INTEGER NOT NULL CONSTRAINT denial_product_version CHECK (product_version >= 2 AND product_version <> 3),
    product_type    INTEGER NOT NULL CONSTRAINT denial_product_type CHECK (product_type IN (0, 1)),
    reason          TEXT    NOT NULL CONSTRAINT denial_reason CHECK (reason <> ''),
    detail          TEXT    NOT NULL
) STRICT;

CREATE INDEX denial_by_at ON denial (at);

CREATE TABLE denial_count (
    product_version INTEGER NOT NULL,
    product_type    INTEGER NOT NULL,
    reason          TEXT    NOT NULL,
    count           INTEGER NOT NULL CONSTRAINT denial_count_count CHECK (count > 0),
    PRIMARY KEY (product_version, product_type, reason)
) STRICT, WITHOUT ROWID;

CREATE TABLE answer (
    id          INTEGER PRIMARY KEY,
    host        TEXT    NOT NULL,
    key         TEXT    NOT NULL CONSTRAINT answer_key CHECK (key <> ''),
    fingerprint BLOB    NOT NULL,
    body        BLOB    NOT NULL,
    at          INTEGER NOT NULL,
    UNIQUE (host, key)
) STRICT;

CREATE INDEX answer_by_at ON answer (at);
