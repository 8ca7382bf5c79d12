#pragma once

#include "adapters/postgres/connection.h"

/// The prepared statements: the functions of deploy/postgres, and the reader's queries.
namespace penstock::postgres_store::statements {

inline constexpr Statement kApplyOrders{
    .name = "apply_orders",
    .sql =
        "SELECT * FROM apply_orders($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
        " $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,"
        " $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42, $43)"};
inline constexpr Statement kSetStock{.name = "set_stock",
                                     .sql = "SELECT * FROM set_stock($1, $2, $3, $4, $5, $6)"};
inline constexpr Statement kPutContracts{
    .name = "put_contracts",
    .sql = "SELECT put_contracts($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"};
inline constexpr Statement kFinishOutbox{.name = "finish_outbox",
                                         .sql = "SELECT finish_outbox($1, $2, $3)"};
inline constexpr Statement kEndAttempts{.name = "end_attempts",
                                        .sql = "SELECT end_attempts($1, $2, $3, $4)"};
inline constexpr Statement kRelease{.name = "release", .sql = "SELECT release_orders($1, $2, $3)"};
inline constexpr Statement kTransactionId{.name = "transaction_id",
                                          .sql = "SELECT pg_current_xact_id_if_assigned()::text"};
/// What is answered is, like any commit, where synchronous_standby_names wants it: the message is
/// written behind all that is told of, and its commit waits.
inline constexpr Statement kTransactionStatus{
    .name = "transaction_status",
    .sql = "SELECT pg_xact_status($1::text::xid8), pg_logical_emit_message(true, 'penstock', '')"};
/// Changes wherever a transaction's id may be given a second time: on another server, and on one
/// that recovered from a crash. Its statistics begin anew where it did so without a start.
inline constexpr Statement kServerLife{
    .name = "server_life",
    .sql = "SELECT concat(pg_postmaster_start_time(), ' ', stats_reset) FROM pg_stat_bgwriter"};
inline constexpr Statement kClaim{
    .name = "claim", .sql = "SELECT * FROM claim_orders($1, $2, $3, $4, $5, $6, $7, $8, $9)"};
inline constexpr Statement kClaimOne{.name = "claim_one",
                                     .sql = "SELECT * FROM claim_order($1, $2, $3)"};
inline constexpr Statement kTakeOutbox{.name = "take_outbox",
                                       .sql = "SELECT * FROM take_outbox($1, $2, $3)"};
inline constexpr Statement kTakeDeliveries{.name = "take_deliveries",
                                           .sql = "SELECT * FROM take_deliveries($1, $2, $3)"};
/// As take_deliveries, of all tenants but those in $4.
inline constexpr Statement kTakeOtherDeliveries{
    .name = "take_other_deliveries",
    .sql =
        "WITH at AS MATERIALIZED (SELECT store_now() AS now), chosen AS MATERIALIZED ("
        "SELECT order_id, due FROM deliveries WHERE due <= (SELECT now FROM at) "
        "AND lease_until <= (SELECT now FROM at) AND tenant_id <> ALL ($4::text[]) "
        "ORDER BY due, order_id LIMIT $2::integer FOR UPDATE SKIP LOCKED), taken AS ("
        "UPDATE deliveries d SET lease_owner = $1::text, "
        "lease_until = (SELECT now FROM at) + $3::interval "
        "FROM chosen c WHERE d.order_id = c.order_id "
        "RETURNING d.order_id, d.tenant_id, d.attempt, c.due) "
        "SELECT t.order_id, t.tenant_id, t.attempt FROM taken t ORDER BY t.due, t.order_id"};
/// Of batches whose copies are still to be made: what finish_outbox does without ending them.
inline constexpr Statement kTellOutbox{
    .name = "tell_outbox",
    .sql =
        "WITH told AS (INSERT INTO terminal_batches SELECT sequence, created_at, store_now() "
        "FROM outbox WHERE sequence = ANY ($1::bigint[]) ON CONFLICT DO NOTHING) "
        "INSERT INTO deliveries (order_id, created_at, tenant_id, attempt, due) "
        "SELECT d.order_id, created_of(d.order_id), e ->> 1, 1, store_now() FROM outbox o "
        "CROSS JOIN LATERAL jsonb_array_elements(o.entries) e "
        "JOIN unnest($2::bigint[], $3::uuid[]) d(sequence, order_id) "
        "ON d.sequence = o.sequence AND d.order_id = (e ->> 0)::uuid "
        "WHERE o.sequence = ANY ($1::bigint[]) ON CONFLICT DO NOTHING"};
/// Batches that were told of before, and whose copies are made.
inline constexpr Statement kDropOutbox{
    .name = "drop_outbox", .sql = "DELETE FROM outbox WHERE sequence = ANY ($1::bigint[])"};
inline constexpr Statement kMark{.name = "mark",
                                 .sql = "UPDATE node_marks SET marks = $2 WHERE node = $1"};
inline constexpr Statement kSettled{
    .name = "settled", .sql = "UPDATE node_marks SET unclean_ends = 0 WHERE node = $1"};
inline constexpr Statement kEndRun{
    .name = "end_run",
    .sql = "UPDATE node_marks SET unclean_ends = 0, is_running = false WHERE node = $1"};
inline constexpr Statement kBeginRun{.name = "begin_run", .sql = "SELECT * FROM begin_run($1)"};
inline constexpr Statement kDepths{.name = "depths", .sql = "SELECT * FROM depths()"};
inline constexpr Statement kActive{
    .name = "active", .sql = "SELECT coalesce(sum(active), 0)::bigint FROM active_counts"};
inline constexpr Statement kActiveByTenant{
    .name = "active_by_tenant",
    .sql = "SELECT tenant_id, count(*) FROM active_orders GROUP BY tenant_id"};
inline constexpr Statement kDeadLettersByTenant{
    .name = "dead_letters_by_tenant",
    .sql =
        "SELECT tenant_id, count(*) FILTER (WHERE dead_letter_state = 1),"
        " count(*) FILTER (WHERE status = 6 AND charge = 2) FROM active_orders"
        " WHERE dead_letter_state IS NOT NULL OR (status = 6 AND charge = 2) GROUP BY tenant_id"};
inline constexpr Statement kNextDue{.name = "next_due", .sql = "SELECT next_due(), store_now()"};
/// The node's name is this session's alone.
inline constexpr Statement kHoldNode{
    .name = "hold_node",
    .sql = "SELECT pg_try_advisory_lock(hashtext('penstock ' || current_schema()), hashtext($1))"};
/// Who charges at a gateway that others reach shares it; whose gateway is its own keeps it.
inline constexpr Statement kShareGateway{
    .name = "share_gateway",
    .sql =
        "SELECT pg_try_advisory_lock_shared(hashtext('penstock gateway'),"
        " hashtext(current_schema()))"};
inline constexpr Statement kKeepGateway{
    .name = "keep_gateway",
    .sql = "SELECT pg_try_advisory_lock(hashtext('penstock gateway'), hashtext(current_schema()))"};
/// Ends a session of this node that the server may still believe in, and waits for its end.
inline constexpr Statement kEndSession{
    .name = "end_session",
    .sql =
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE pid = $1::int AND application_name = $2 AND pid <> pg_backend_pid()"};
/// What shows whether commits work, in one transaction: nobody keeps commands from the tables that
/// they write, and a write of this node's row gets to the disk.
inline constexpr Statement kTryLocks{
    .name = "try_locks",
    .sql =
        "LOCK TABLE ONLY active_orders, ONLY orders, buckets, contracts, stock, idempotency_keys,"
        " outbox, deliveries IN ROW EXCLUSIVE MODE"};
inline constexpr Statement kTryWrite{.name = "try_write",
                                     .sql = "UPDATE node_marks SET marks = marks WHERE node = $1"};
inline constexpr Statement kTypeIds{.name = "type_ids",
                                    .sql =
                                        "SELECT 'order_facts'::regtype::oid::bigint,"
                                        " 'order_state'::regtype::oid::bigint"};

inline constexpr Statement kWriter[] = {kApplyOrders,
                                        kSetStock,
                                        kPutContracts,
                                        kFinishOutbox,
                                        kEndAttempts,
                                        kRelease,
                                        kTransactionId,
                                        kTransactionStatus,
                                        kClaim,
                                        kClaimOne,
                                        kTakeOutbox,
                                        kTakeDeliveries,
                                        kTakeOtherDeliveries,
                                        kTellOutbox,
                                        kDropOutbox,
                                        kMark,
                                        kSettled,
                                        kEndRun,
                                        kBeginRun,
                                        kDepths,
                                        kActive,
                                        kNextDue,
                                        kActiveByTenant,
                                        kDeadLettersByTenant,
                                        kHoldNode,
                                        kShareGateway,
                                        kKeepGateway,
                                        kEndSession,
                                        kTypeIds,
                                        kServerLife,
                                        kTryLocks,
                                        kTryWrite};

inline constexpr Statement kFind{
    .name = "find",
    .sql =
        "SELECT * FROM (SELECT *, NULL::bytea, NULL::timestamptz, NULL::jsonb"
        "               FROM active_records WHERE order_id = $1 UNION ALL"
        " SELECT o.*, (SELECT jsonb_agg(jsonb_build_array(number, (extract(epoch FROM at)"
        "    * 1000000)::bigint, NULL, 0, 0, reason, attempt) ORDER BY number)"
        "  FROM events e WHERE e.order_id = $1 AND e.created_at = $2 AND e.kind = 2)"
        " FROM ended_orders o WHERE order_id = $1 AND created_at = $2) r"};

inline constexpr Statement kEnded{
    .name = "ended",
    .sql =
        "SELECT o.order_id FROM unnest($1::uuid[], $2::timestamptz[]) i(order_id, created_at)"
        " JOIN orders o ON o.order_id = i.order_id AND o.created_at = i.created_at"};

/// A tenant's or all orders with ids in [$2, $3) (and of months in [$4, $5)), newest first.
inline constexpr Statement kListTenant{
    .name = "list_tenant",
    .sql =
        "SELECT * FROM ("
        "  (SELECT * FROM active_records WHERE tenant_id = $1 AND order_id >= $2"
        "   AND order_id < $3 ORDER BY order_id DESC LIMIT $6)"
        "  UNION ALL (SELECT * FROM ended_records WHERE tenant_id = $1 AND order_id >= $2"
        "   AND order_id < $3 AND created_at >= $4 AND created_at <= $5"
        "   ORDER BY order_id DESC LIMIT $6)) r ORDER BY order_id DESC LIMIT $6"};
inline constexpr Statement kListAll{
    .name = "list_all",
    .sql =
        "SELECT * FROM ("
        "  (SELECT * FROM active_records WHERE order_id >= $1 AND order_id < $2"
        "   ORDER BY order_id DESC LIMIT $5)"
        "  UNION ALL (SELECT * FROM ended_records WHERE order_id >= $1 AND order_id < $2"
        "   AND created_at >= $3 AND created_at <= $4"
        "   ORDER BY order_id DESC LIMIT $5)) r ORDER BY order_id DESC LIMIT $5"};

inline constexpr Statement kDeadLetters{
    .name = "dead_letters",
    .sql =
        "SELECT * FROM (SELECT * FROM active_records UNION ALL SELECT * FROM ended_records) r"
        " WHERE dead_letter_state IS NOT NULL AND dead_letter_state <> 3 AND order_id > $1"
        " AND ($2::text = '' OR tenant_id = $2) AND ($3::int2 IS NULL OR dead_letter_stage = $3)"
        " AND ($4::int2 IS NULL OR dead_letter_last_error = $4) ORDER BY order_id LIMIT $5"};
inline constexpr Statement kOwed{
    .name = "owed",
    .sql =
        "SELECT * FROM active_records WHERE status = 6 AND charge = 2 AND order_id > $1"
        " ORDER BY order_id LIMIT $2"};
inline constexpr Statement kStock{
    .name = "stock",
    .sql = "SELECT received, reserved, sold FROM stock WHERE tenant_id = $1 AND product_id = $2"};
inline constexpr Statement kContracts{
    .name = "contracts",
    .sql =
        "SELECT tenant_id, rate_micro_tokens, rate_period_ns, burst, guarantee_micro_tokens,"
        " guarantee_period_ns, weight, webhook_url, webhook_secret, webhook_disabled"
        " FROM contracts WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2"};
inline constexpr Statement kContractNames{
    .name = "contract_names",
    .sql = "SELECT tenant_id FROM contracts WHERE rate_micro_tokens IS NOT NULL"};
/// Of each of the tenants, in their order; NULL where it has no contract of its own.
inline constexpr Statement kContractsOf{
    .name = "contracts_of",
    .sql =
        "SELECT c.tenant_id, rate_micro_tokens, rate_period_ns, burst, guarantee_micro_tokens,"
        " guarantee_period_ns, weight, webhook_url, webhook_secret, webhook_disabled"
        " FROM unnest($1::text[]) WITH ORDINALITY i(tenant_id, n)"
        " LEFT JOIN contracts c ON c.tenant_id = i.tenant_id ORDER BY i.n"};

inline constexpr Statement kReader[] = {kFind, kEnded, kListTenant, kListAll,     kDeadLetters,
                                        kOwed, kStock, kContracts,  kContractsOf, kContractNames};

}  // namespace penstock::postgres_store::statements
