-- The heart, version 2: everything that copies need in order to merge. See docs/design/0010-heart-merge.md.

-- Local facts of this file about each stream: how many rows of the actor stand here (held) and the sum of their numbers (total).
-- A row that somebody took out of the file is missed by them; version vectors alone would call it merged.
-- cold: 1 once the stream ended and every live replica has it; equal sets of cold streams are compared by one digest.
-- gap: 1 when rows of the stream are known to be missing here (a repair lost them): a whole copy fills them in again.
alter table vv add column held integer check (held >= 0);
alter table vv add column total integer check (total >= 0);
alter table vv add column cold integer check (cold = 1);
alter table vv add column gap integer check (gap = 1);
create index vv_hot on vv (actor) where cold is null;
create index vv_gap on vv (actor) where gap is not null;

create unique index actor_dot on actor (actor, seq);

-- Tasks: an observed-remove set, add wins. A dot is one "add", at most one an actor; the attributes are cells, "task" / <id>.<name>.
create table task_dot (
  elem blob not null check (length(elem) = 16),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  mac blob not null check (length(mac) = 16),
  primary key (elem, actor)
) strict, without rowid;
create unique index task_dot_dot on task_dot (actor, seq);

-- What was removed: the dot that the remover saw. Naming it makes a merge delete for a reason, never for an absence.
create table task_remove (
  elem blob not null check (length(elem) = 16),
  dot_actor integer not null check (dot_actor between 1 and 9007199254740991),
  dot_seq integer not null check (dot_seq between 1 and 9007199254740991),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  mac blob not null check (length(mac) = 16),
  primary key (elem, dot_actor, actor)
) strict, without rowid;
create unique index task_remove_dot on task_remove (actor, seq);

-- Removes of an actor up to this number may have been pruned here. Who has not seen them merges the dots in full.
create table remove_floor (
  actor integer primary key not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  mac blob not null check (length(mac) = 16)
) strict;

-- Counters that only grow, one an actor: their sum is the value.
create table incident (
  kind text not null,
  severity integer not null check (severity between 0 and 4),
  count integer not null check (count between 1 and 9007199254740991),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  mac blob not null check (length(mac) = 16),
  primary key (kind, severity, actor)
) strict, without rowid;
create unique index incident_dot on incident (actor, seq);

-- Sets that only grow, told apart by kind: the skill log now; audit entries, approvals, grants, examples and reports have room.
-- Like a message, an entry keeps its body apart, so that it can be forgotten. ref: what the entry is about, if anything.
create table entry (
  n integer primary key not null,
  id blob not null unique check (length(id) = 16),
  kind text not null,
  ref blob,
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  label_c integer not null check (label_c between 0 and 4),
  label_k text not null,
  label_i integer not null check (label_i between 0 and 4),
  label_p text not null,
  body_hash blob not null check (length(body_hash) = 32),
  mac blob not null check (length(mac) = 16)
) strict;
create unique index entry_dot on entry (actor, seq);
create index entry_kind on entry (kind, hlc, id);

create table entry_body (
  n integer primary key not null,
  salt blob not null check (length(salt) = 16),
  body text not null
) strict;

-- Rows that a newer version wrote and this one does not understand, as the canonical bytes that their own MAC is over. They travel on,
-- and a version that knows them takes them in. part: 1 when the row also stands in its table, without the columns unknown here; it goes with
-- that row. mac: over these columns; the row's own follows from its bytes.
create table aside (
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  tbl text not null,
  part integer not null check (part in (0, 1)),
  bytes blob not null,
  mac blob not null check (length(mac) = 16),
  primary key (actor, seq)
) strict, without rowid;

-- Local: cells that lost against a concurrent write when two copies merged, as they were sealed, until a person has looked.
create table conflict (
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
  mac blob not null check (length(mac) = 16)
) strict;
create index conflict_key on conflict (ns, k) where ns = 'memory';

-- Local: how far the other replicas were known to be when this one last met them.
create table witness (
  device blob not null check (length(device) = 16),
  actor integer not null,
  seq integer not null,
  primary key (device, actor)
) strict, without rowid;

-- Derived from task_dot and cells, local, rebuilt at will: what a list of tasks needs. due: milliseconds, null for none.
create table task_overview (
  elem blob primary key not null check (length(elem) = 16),
  open integer not null check (open in (0, 1)),
  priority integer not null,
  due integer,
  added integer not null
) strict, without rowid;
create index task_overview_open on task_overview (priority desc, due is null, due, added) where open = 1;

-- Derived from message and message_body, local, filled by searching. Without content: only words and where they stand, and with
-- secure-delete a word that is taken out leaves nothing behind.
create virtual table search using fts5(text, content='', tokenize = "unicode61 remove_diacritics 2");
insert into search (search, rank) values ('secure-delete', 1);
