-- 0004_add_push_and_sms.sql
-- Why: browsers that want push messages, phone numbers that want texts, and
-- what must not be sent twice (docs/push-and-sms.md).
-- Lock: none worth naming: new tables, two functions replaced.
-- Backfill: none. Phone numbers that are not E.164 stay and get no texts.

-- Where a user's browsers listen (RFC 8030). The endpoint and p256dh say where
-- and for whom; the auth secret is encrypted like the networks' tokens.
CREATE TABLE carillon.push_subscriptions (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  user_id uuid NOT NULL REFERENCES carillon.users ON DELETE CASCADE,
  endpoint varchar(2000) NOT NULL,
  -- base64url of an uncompressed point on P-256.
  p256dh varchar(90) NOT NULL,
  auth_encrypted text NOT NULL,
  last_success_at timestamptz,
  last_failure varchar(255),
  -- In a row.
  failures int NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (user_id, endpoint)
);
-- A browser belongs to whoever subscribed with it last.
CREATE INDEX push_subscriptions_endpoint_index ON carillon.push_subscriptions (endpoint);
CREATE INDEX push_subscriptions_tenant_id_index ON carillon.push_subscriptions (tenant_id);

-- Who has had a notification while others of its user still wait for another
-- try: those are not sent to again.
CREATE TABLE carillon.push_receipts (
  notification_id uuid NOT NULL REFERENCES carillon.notifications ON DELETE CASCADE,
  subscription_id uuid NOT NULL REFERENCES carillon.push_subscriptions ON DELETE CASCADE,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  created_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (notification_id, subscription_id)
);
CREATE INDEX push_receipts_subscription_id_index ON carillon.push_receipts (subscription_id);

-- Texts of a tenant on a day in UTC, for the daily cap.
CREATE TABLE carillon.sms_daily_counts (
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  day date NOT NULL,
  sent int NOT NULL,
  PRIMARY KEY (tenant_id, day)
);

-- One row for each notification that went, or may have gone, to the provider.
CREATE TABLE carillon.sms_sends (
  notification_id uuid PRIMARY KEY REFERENCES carillon.notifications ON DELETE CASCADE,
  tenant_id uuid NOT NULL REFERENCES carillon.tenants ON DELETE CASCADE,
  -- Set before the call, null again once the provider is known not to have
  -- taken it: a call that is open when its job runs again has an unknown end.
  call_began_at timestamptz,
  provider_id varchar(255),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

-- Secrets that all nodes share and nobody configured, encrypted.
CREATE TABLE carillon.platform_secrets (
  name varchar(100) PRIMARY KEY,
  value_encrypted text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE OR REPLACE FUNCTION carillon.push_obstacle(tenant_id uuid, user_id uuid) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN NOT EXISTS (SELECT FROM carillon.push_subscriptions s
                               WHERE s.user_id = push_obstacle.user_id AND s.tenant_id = push_obstacle.tenant_id)
         THEN 'no browser is subscribed'::text END;

CREATE OR REPLACE FUNCTION carillon.sms_obstacle(tenant_id uuid, user_id uuid) RETURNS text
  LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CASE WHEN NOT EXISTS (SELECT FROM carillon.users u
                               WHERE u.id = sms_obstacle.user_id AND u.tenant_id = sms_obstacle.tenant_id
                                 AND u.phone ~ '^\+[1-9][0-9]{6,14}$')
         THEN 'no phone number'::text END;

-- Known before the first node of this release has started.
INSERT INTO carillon.job_kinds (kind, queue, priority, max_attempts) VALUES
  ('send_notification_push', 'notifications', 5, 3),
  ('send_notification_sms', 'notifications', 5, 3)
ON CONFLICT (kind) DO NOTHING;
