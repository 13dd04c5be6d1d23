-- The heart, version 1. See docs/design/0003-heart-rows.md.
--
-- Every merged table carries a dot (actor, seq), a stamp (hlc) and a MAC over its columns in the order written here, without
-- the MAC itself and without local columns. Later migrations add tables, or nullable columns at the end: a row that stands
-- is never written again for a new version.

-- Facts about this file. Never merged.
create table meta (
  k text primary key not null,
  v any not null,
  mac blob not null check (length(mac) = 16)
) strict, without rowid;

-- How far each writing session's stream reaches here. Written last in every transaction.
create table vv (
  actor integer primary key not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  mac blob not null check (length(mac) = 16)
) strict;

-- A writing session: one process's sitting at this heart (a conversation is a "session" in messages). Only that process
-- ever writes the row, so the larger seq wins. device: the replica written to; host: class of machine; clock: fault bits.
create table actor (
  actor integer primary key not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  device blob not null check (length(device) = 16),
  label text not null,
  host text not null,
  clock integer not null check (clock between 0 and 255),
  mac blob not null check (length(mac) = 16)
) strict;

-- Messages: a set that only grows. n is local, the body's and later the search index's row number.
create table message (
  n integer primary key not null,
  id blob not null unique check (length(id) = 16),
  session blob not null check (length(session) = 16),
  parent blob check (length(parent) = 16),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  role text not null,
  origin text not null,
  label_c integer not null check (label_c between 0 and 4),
  label_k text not null,
  label_i integer not null check (label_i between 0 and 4),
  label_p text not null,
  reply text,
  body_hash blob not null check (length(body_hash) = 32),
  mac blob not null check (length(mac) = 16)
) strict;
create unique index message_dot on message (actor, seq);
-- Covers the shape of a conversation, so that its tree is read without its rows.
create index message_session on message (session, hlc, id, parent, n);

-- What a message says, apart from the message, so that forgetting never rewrites a stamped row.
-- body_hash = SHA-256(salt || body): the salt goes with the body, and the hash then says nothing about it.
create table message_body (
  n integer primary key not null,
  salt blob not null check (length(salt) = 16),
  body text not null
) strict;

-- Forgetting: a set that only grows and wins over every copy of what it names.
create table redaction (
  target blob not null check (length(target) = 16),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  mac blob not null check (length(mac) = 16),
  primary key (target, actor, seq)
) strict, without rowid;
create unique index redaction_dot on redaction (actor, seq);

-- Last-writer-wins registers, ordered by (hlc, actor, seq, v). Namespace "leaf": conversation -> the take that a person
-- picked; it counts until something newer is said there.
create table cell (
  ns text not null,
  k text not null,
  v any,
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  label_c integer not null check (label_c between 0 and 4),
  label_k text not null,
  label_i integer not null check (label_i between 0 and 4),
  label_p text not null,
  mac blob not null check (length(mac) = 16),
  primary key (ns, k)
) strict, without rowid;
create unique index cell_dot on cell (actor, seq);

-- Derived from message and message_body, local, rebuilt at will: what a list of conversations needs.
-- live: messages whose body still stands.
create table session_overview (
  session blob primary key not null check (length(session) = 16),
  first_hlc integer not null,
  last_hlc integer not null,
  live integer not null check (live >= 0)
) strict, without rowid;
create index session_overview_recent on session_overview (last_hlc) where live > 0;
