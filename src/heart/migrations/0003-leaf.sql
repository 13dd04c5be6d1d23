-- The heart, version 3: the log in a table of its own. See docs/design/0023-leaves-of-the-log.md.

-- Leaves of the log that were committed together, one a line: each in the text that was hashed and signed. A set that only grows, and nothing of
-- it can be forgotten: what may be lies apart, as entries. session: the log's own, not a conversation. n is local.
-- Entries of kind 'audit' are leaves as versions before this one wrote them; they stay where they are.
create table leaf (
  n integer primary key not null,
  session blob not null check (length(session) = 16),
  hlc integer not null check (hlc between 0 and 9007199254740991),
  actor integer not null check (actor between 1 and 9007199254740991),
  seq integer not null check (seq between 1 and 9007199254740991),
  leaves text not null,
  mac blob not null check (length(mac) = 16)
) strict;
create unique index leaf_dot on leaf (actor, seq);
create index leaf_hlc on leaf (hlc);
-- In canonical form a beginning, and nothing else, has its certificate first.
create index leaf_beginning on leaf (session) where substr(leaves, 1, 15) = '{"certificate":';
