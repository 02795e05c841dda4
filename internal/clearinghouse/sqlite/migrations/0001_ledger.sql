-- Times are integer microseconds since 1970-01-01 UTC; NULL is the zero time. Empty hashes, names and IDs that must be
-- unique only when there is one are NULL as well.

CREATE TABLE organizations (
    id             TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
    name           TEXT    NOT NULL,
    enrolment_hash BLOB    UNIQUE,
    created        INTEGER
) STRICT;

-- AUTOINCREMENT, because the ID names accounts: it is never given to another server.
CREATE TABLE servers (
    id                INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 4294967295),
    product_id        TEXT    NOT NULL UNIQUE CHECK (product_id <> ''),
    license_server_id TEXT    UNIQUE,
    organization      TEXT    REFERENCES organizations (id), -- NULL until an operator has said which
    name              TEXT    NOT NULL,
    names             TEXT    NOT NULL CHECK (json_type(names) = 'array'),
    contact           TEXT    NOT NULL CHECK (json_type(contact) = 'object'),
    state             TEXT    NOT NULL CHECK (state IN ('waiting', 'approved', 'active', 'deactivated')),
    notice_seq        INTEGER NOT NULL CHECK (notice_seq >= 0),
    acked_seq         INTEGER NOT NULL CHECK (acked_seq >= 0),
    last_contact      INTEGER
) STRICT;

CREATE INDEX servers_of_organization ON servers (organization);

CREATE TABLE entitlements (
    id              TEXT    NOT NULL PRIMARY KEY CHECK (id <> ''),
    organization    TEXT    NOT NULL REFERENCES organizations (id),
    program         TEXT    NOT NULL CHECK (program IN ('retail', 'open', 'agreement')),
    agreement_type  INTEGER NOT NULL CHECK (agreement_type BETWEEN 0 AND 5),
    number          TEXT    NOT NULL,
    secret_hash     BLOB,
    product_version INTEGER NOT NULL CHECK (product_version BETWEEN 0 AND 4294967295),
    expires         INTEGER,
    created         INTEGER,
    -- Without its hash, anything or nothing would prove a purchase.
    CHECK (program = 'agreement' OR secret_hash IS NOT NULL),
    -- A whole retail code is never kept.
    CHECK (program <> 'retail' OR length(number) <= 5)
) STRICT;

CREATE UNIQUE INDEX entitlements_by_number
    ON entitlements (organization, program, number, agreement_type, product_version) WHERE program <> 'retail';
CREATE UNIQUE INDEX entitlements_by_code ON entitlements (secret_hash) WHERE program = 'retail';
CREATE INDEX entitlements_of_organization ON entitlements (organization);

CREATE TABLE entries (
    seq   INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    at    INTEGER,
    kind  TEXT    NOT NULL,
    key   TEXT    NOT NULL,
    actor TEXT    NOT NULL
) STRICT;

CREATE TABLE postings (
    entry        INTEGER NOT NULL REFERENCES entries (seq),
    line         INTEGER NOT NULL CHECK (line >= 1),
    entitlement  TEXT    NOT NULL REFERENCES entitlements (id),
    product_type INTEGER NOT NULL CHECK (product_type IN (0, 1)),
    holder       TEXT    NOT NULL CHECK (holder IN ('sold', 'pool') OR holder GLOB 'server/[1-9]*' OR holder GLOB 'code/[1-9]*'),
    delta        INTEGER NOT NULL,
    PRIMARY KEY (entry, line)
) STRICT, WITHOUT ROWID;

-- The sum of the postings of each account, kept by whoever posts. Everything in it can be counted again.
CREATE TABLE balances (
    entitlement  TEXT    NOT NULL REFERENCES entitlements (id),
    product_type INTEGER NOT NULL,
    holder       TEXT    NOT NULL,
    quantity     INTEGER NOT NULL CHECK (quantity >= 0 OR holder = 'sold'),
    PRIMARY KEY (entitlement, product_type, holder)
) STRICT, WITHOUT ROWID;

CREATE INDEX balances_of_holder ON balances (holder, entitlement, product_type) WHERE quantity <> 0;

CREATE TRIGGER entries_no_update BEFORE UPDATE ON entries
BEGIN SELECT RAISE(ABORT, 'the table entries is append-only'); END;
CREATE TRIGGER entries_no_delete BEFORE DELETE ON entries
BEGIN SELECT RAISE(ABORT, 'the table entries is append-only'); END;
CREATE TRIGGER postings_no_update BEFORE UPDATE ON postings
BEGIN SELECT RAISE(ABORT, 'the table postings is append-only'); END;
CREATE TRIGGER postings_no_delete BEFORE DELETE ON postings
BEGIN SELECT RAISE(ABORT, 'the table postings is append-only'); END;

-- INSERT OR REPLACE removes the old row without the triggers above.
CREATE TRIGGER entries_no_replace BEFORE INSERT ON entries
WHEN EXISTS (SELECT 1 FROM entries WHERE seq = NEW.seq)
BEGIN SELECT RAISE(ABORT, 'the table entries is append-only'); END;
CREATE TRIGGER postings_no_replace BEFORE INSERT ON postings
WHEN EXISTS (SELECT 1 FROM postings WHERE entry = NEW.entry AND line = NEW.line)
BEGIN SELECT RAISE(ABORT, 'the table postings is append-only'); END;

CREATE TABLE transfers (
    id           INTEGER NOT NULL PRIMARY KEY, -- the order in which they came
    key          TEXT    NOT NULL UNIQUE CHECK (key <> ''),
    entitlement  TEXT    NOT NULL REFERENCES entitlements (id),
    product_type INTEGER NOT NULL CHECK (product_type IN (0, 1)),
    count        INTEGER NOT NULL CHECK (count BETWEEN 1 AND 4294967295),
    source       INTEGER NOT NULL REFERENCES servers (id),
    target       INTEGER NOT NULL REFERENCES servers (id),
    at           INTEGER,
    notice_seq   INTEGER NOT NULL CHECK (notice_seq >= 0),
    released     INTEGER,
    acknowledged INTEGER
) STRICT;

CREATE INDEX transfers_to_release ON transfers (source, notice_seq) WHERE released IS NULL;

CREATE TABLE notices (
    server    INTEGER NOT NULL REFERENCES servers (id),
    seq       INTEGER NOT NULL CHECK (seq >= 1),
    payload   BLOB    NOT NULL,
    signature BLOB    NOT NULL,
    PRIMARY KEY (server, seq)
) STRICT;

CREATE TABLE serials (
    id   INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    last INTEGER NOT NULL CHECK (last BETWEEN 0 AND 4294967295)
) STRICT;

INSERT INTO serials (id, last) VALUES (1, 0);

CREATE TABLE codes (
    serial       INTEGER NOT NULL PRIMARY KEY CHECK (serial BETWEEN 1 AND 4294967295),
    import       INTEGER NOT NULL CHECK (import IN (0, 1)),
    first_group  TEXT    NOT NULL CHECK (length(first_group) <= 5),
    entitlement  TEXT    NOT NULL REFERENCES entitlements (id),
    product_type INTEGER NOT NULL CHECK (product_type IN (0, 1)),
    count        INTEGER NOT NULL CHECK (count BETWEEN 1 AND 4294967295),
    target       INTEGER NOT NULL REFERENCES servers (id),
    source       INTEGER REFERENCES servers (id),
    state        TEXT    NOT NULL CHECK (state IN ('issued', 'redeemed', 'canceled')),
    redeem_key   TEXT    NOT NULL,
    issued       INTEGER,
    CHECK (import = (source IS NOT NULL))
) STRICT;

CREATE INDEX codes_open ON codes (source, entitlement, product_type) WHERE import = 1 AND state = 'issued';

CREATE TABLE settled (
    server       INTEGER NOT NULL REFERENCES servers (id),
    key          TEXT    NOT NULL CHECK (key <> ''),
    request_hash BLOB    NOT NULL,
    payload      BLOB    NOT NULL,
    signature    BLOB    NOT NULL,
    at           INTEGER,
    PRIMARY KEY (server, key)
) STRICT;
