-- Each time a resting stop was to be changed in place: to what, and what became of it; no outcome yet, or in doubt, where `outcome` is NULL.
-- Example: SELECT outcome, count(*), max(took_ms) FROM amendments GROUP BY outcome;
CREATE OR REPLACE VIEW amendments AS
WITH said AS (
    SELECT *, body ->> '$.client_order_id' AS client_order_id
    FROM events WHERE kind IN ('AmendIntended', 'OrderAmended', 'AmendRejected', 'AmendInDoubt')
), lined AS (
    SELECT *, lead(kind) OVER own AS then_kind, lead(ts) OVER own AS then_ts, lead(body) OVER own AS then_body
    FROM said WHERE kind <> 'AmendInDoubt' WINDOW own AS (PARTITION BY client_order_id ORDER BY seq)
)
SELECT account, body ->> '$.pair' AS pair, body ->> '$.trade_id' AS trade_id, client_order_id, ts AS intended_at,
       CAST(body ->> '$.amount' AS DECIMAL(38,18)) AS amount, CAST(body ->> '$.trigger_price' AS DECIMAL(38,18)) AS trigger_price,
       CASE then_kind WHEN 'OrderAmended' THEN 'amended' WHEN 'AmendRejected' THEN 'rejected' END AS outcome,
       CASE then_kind WHEN 'AmendRejected' THEN concat_ws(': ', then_body ->> '$.code', then_body ->> '$.reason') END AS reason,
       CASE WHEN then_kind IN ('OrderAmended', 'AmendRejected') THEN CAST(epoch_ms(then_ts) - epoch_ms(ts) AS BIGINT) END AS took_ms,
       EXISTS (SELECT 1 FROM said d WHERE d.kind = 'AmendInDoubt' AND d.client_order_id = lined.client_order_id
               AND d.seq > lined.seq AND (then_ts IS NULL OR d.ts <= then_ts)) AS was_in_doubt, run
FROM lined WHERE kind = 'AmendIntended' ORDER BY seq;
