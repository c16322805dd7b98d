-- 0005_tell_live_of_sql_notifications.sql
-- Why: a notification that another program writes with carillon.notify reaches
-- the sockets that are open, as one of the service does. A node that does not
-- know the message passes over it.
-- Lock: none on tables. Backfill: none.

-- Tells the owner of the workspace, at commit, that a notification is there
-- to be shown.
CREATE FUNCTION carillon.tell_live(workspace_id uuid, notification_id uuid) RETURNS void
  LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  owner text;
BEGIN
  SELECT i.node INTO owner
  FROM carillon.shard_leases s JOIN carillon.node_incarnations i USING (incarnation)
  WHERE s.shard = carillon.shard_of(tell_live.workspace_id) AND i.ended_at IS NULL;
  IF owner IS NOT NULL THEN
    PERFORM pg_notify('carillon_' || left(owner, 54), '1 live ' || tell_live.notification_id);
  END IF;
END $$;

-- As in 0003, and tells.
CREATE OR REPLACE FUNCTION carillon.notify(
    tenant_id uuid, user_id uuid, type text, title text, message text, data jsonb DEFAULT NULL,
    action_url text DEFAULT NULL, workspace_id uuid DEFAULT NULL, correlation_id text DEFAULT NULL)
  RETURNS uuid LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  told record;
BEGIN
  PERFORM carillon.check_notification_home('carillon.notify', notify.tenant_id, notify.workspace_id);
  IF NOT EXISTS (SELECT FROM carillon.users u
                 WHERE u.id = notify.user_id AND u.tenant_id = notify.tenant_id AND u.deleted_at IS NULL) THEN
    RAISE EXCEPTION 'carillon.notify: tenant % has no user %', notify.tenant_id, notify.user_id
      USING ERRCODE = '23503';
  END IF;
  SELECT * INTO told
  FROM carillon.write_notifications(notify.tenant_id, ARRAY[notify.user_id], notify.type, notify.title,
                                    notify.message, notify.data, notify.action_url, notify.workspace_id,
                                    notify.correlation_id, false);
  IF told.due THEN
    PERFORM carillon.wake_owner(coalesce(notify.workspace_id, notify.tenant_id));
  END IF;
  IF told.read_at IS NULL THEN
    PERFORM carillon.tell_live(coalesce(notify.workspace_id, notify.tenant_id), told.id);
  END IF;
  RETURN told.id;
END $$;
