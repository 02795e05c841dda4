-- The license servers that a session host is set to ask: names, with a space between two; none means this one alone.
ALTER TABLE host ADD COLUMN license_servers TEXT NOT NULL DEFAULT '';
