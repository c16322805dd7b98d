-- 0008_order_ids_within_a_millisecond.sql
-- Why: UUIDv7 made in the database sort as they were made, within a millisecond
-- too: twelve bits of its fraction follow the milliseconds (RFC 9562 section
-- 6.2, method 3), and milliseconds are no longer rounded up into the future.
-- Lock: none. Backfill: none, old ids stay.

CREATE OR REPLACE FUNCTION carillon.uuid_v7() RETURNS uuid
  LANGUAGE sql VOLATILE PARALLEL SAFE
  RETURN (overlay(lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 4096000)::bigint), 15, '0') PLACING '7' FROM 13 FOR 0)
          || substr(gen_random_uuid()::text, 20))::uuid;
