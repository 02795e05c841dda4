-- The state of one license server.
--
-- Instants are microseconds since 1970-01-01 UTC; NULL is the zero instant. The columns named key_pack_id refer to
-- key_pack only while the key pack is there: documents and audit records outlive it, so there are no foreign keys. 0 there
-- means no key pack. The CHECKs hold what licensing says of a value in every version of the program; they leave out lists
-- that grow, such as that of the product versions.

CREATE TABLE server (
    id                INTEGER PRIMARY KEY CONSTRAINT server_is_one CHECK (id = 1),
    product_id        TEXT    NOT NULL,
    license_server_id TEXT    NOT NULL CONSTRAINT server_license_server_id CHECK (length(license_server_id) IN (0, 35)),
    activated_at      INTEGER,
    first_name        TEXT    NOT NULL,
    last_name         TEXT    NOT NULL,
    company           TEXT    NOT NULL,
    country_region    TEXT    NOT NULL,
    e_mail            TEXT    NOT NULL,
    org_unit          TEXT    NOT NULL,
    address           TEXT    NOT NULL,
    city              TEXT    NOT NULL,
    state             TEXT    NOT NULL,
    postal_code       TEXT    NOT NULL,
    role              INTEGER NOT NULL CONSTRAINT server_role CHECK (role BETWEEN 0 AND 2),
    notice_seq        INTEGER NOT NULL CONSTRAINT server_notice_seq CHECK (notice_seq >= 0)
) STRICT;

-- AUTOINCREMENT: an ID is never given out again, not even that of the newest key pack after its removal.
-- Type 6, version 0 and product type 3 are the built-in key pack's, which is not stored; version 3 is kept as 2.
CREATE TABLE key_pack (
    id              INTEGER PRIMARY KEY AUTOINCREMENT CONSTRAINT key_pack_id CHECK (id BETWEEN 3 AND 4294967295),
    type            INTEGER NOT NULL CONSTRAINT key_pack_type CHECK (type >= 0 AND type <> 6),
    product_version INTEGER NOT NULL CONSTRAINT key_pack_product_version CHECK (product_version >= 2 AND product_version <> 3),
    product_type    INTEGER NOT NULL CONSTRAINT key_pack_product_type CHECK (product_type IN (0, 1)),
    total           INTEGER NOT NULL CONSTRAINT key_pack_total CHECK (total BETWEEN 0 AND 4294967295),
    issued          INTEGER NOT NULL CONSTRAINT key_pack_issued CHECK (issued BETWEEN 0 AND 4294967295),
    held            INTEGER NOT NULL CONSTRAINT key_pack_held CHECK (held BETWEEN 0 AND 4294967295),
    installed       INTEGER,
    expires         INTEGER,
    entitlement     TEXT    NOT NULL,
    code            TEXT    NOT NULL,
    flag            TEXT    NOT NULL
) STRICT;

INSERT INTO sqlite_sequence (name, seq) VALUES ('key_pack', 2);

CREATE TABLE operation (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT    NOT NULL UNIQUE CONSTRAINT operation_key CHECK (key <> ''),
    kind        TEXT    NOT NULL,
    request     BLOB    NOT NULL,
    key_pack_id INTEGER NOT NULL CONSTRAINT operation_key_pack_id CHECK (key_pack_id BETWEEN 0 AND 4294967295),
    created     INTEGER
) STRICT;

-- Documents and audit records are never removed, so that the plain rowid already grows; AUTOINCREMENT would make
-- every transaction write one more page. Should old audit records ever be archived, the newest must stay.
CREATE TABLE document (
    seq         INTEGER PRIMARY KEY,
    key_pack_id INTEGER NOT NULL CONSTRAINT document_key_pack_id CHECK (key_pack_id BETWEEN 0 AND 4294967295),
    kind        TEXT    NOT NULL,
    payload     BLOB    NOT NULL,
    signature   BLOB    NOT NULL,
    received    INTEGER
) STRICT;

CREATE INDEX document_by_key_pack ON document (key_pack_id);

CREATE TABLE used_serial (
    serial INTEGER PRIMARY KEY CONSTRAINT used_serial_serial CHECK (serial BETWEEN 0 AND 4294967295)
) STRICT;

CREATE TABLE audit_record (
    seq         INTEGER PRIMARY KEY,
    at          INTEGER,
    actor       TEXT    NOT NULL,
    action      TEXT    NOT NULL,
    key_pack_id INTEGER NOT NULL CONSTRAINT audit_record_key_pack_id CHECK (key_pack_id BETWEEN 0 AND 4294967295),
    delta       INTEGER NOT NULL,
    detail      TEXT    NOT NULL
) STRICT;
