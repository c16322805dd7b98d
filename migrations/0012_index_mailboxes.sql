-- 0012_index_mailboxes.sql
-- Why: a badge is counted and a page of the list is read far more often than
-- anything else. Both read, with these, the index and the rows shown, and not
-- each row that the user was ever sent, from as many pages.
-- Lock: SHARE on notifications while each is built (writers wait: seconds for
-- a million rows), ACCESS EXCLUSIVE for an instant. Backfill: none.

-- The newest first, and how many there are.
CREATE INDEX notifications_newest_index ON carillon.notifications (tenant_id, user_id, created_at, id)
  WHERE channel = 'in_app';

-- As it was, with what else the badge asks for.
CREATE INDEX notifications_unread_index ON carillon.notifications (user_id, read_at) INCLUDE (tenant_id, channel);
DROP INDEX carillon.notifications_user_id_read_at_index;
ALTER INDEX carillon.notifications_unread_index RENAME TO notifications_user_id_read_at_index;
