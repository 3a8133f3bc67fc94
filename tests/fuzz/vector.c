/* Vectors as SQL values: any text, blob or number through every vec_ function, and into tables of every element type.
**
** An input: which statement (a byte), then two values (sql.h).
*/
#include "sql.h"

static const char *const STATEMENTS[] = {
    "SELECT vec_f32(?1)",
    "SELECT vec_f16(?1)",
    "SELECT vec_bf16(?1)",
    "SELECT vec_int8(?1)",
    "SELECT vec_bit(?1)",
    "SELECT vec_to_json(?1)",
    "SELECT vec_to_json(vec_f32(?1)), vec_to_json(vec_f16(?1))",
    "SELECT vec_to_json(vec_bf16(?1)), vec_to_json(vec_int8(?1))",
    "SELECT vec_to_json(vec_bit(?1)), vec_length(vec_bit(?1))",
    "SELECT vec_length(?1), vec_type(?1)",
    "SELECT vec_quantize_int8(?1, 'unit'), vec_quantize_int8(?1, ?2)",
    "SELECT vec_to_json(vec_quantize_binary(?1))",
    "SELECT vec_distance_l2(?1, ?2), vec_distance_cosine(?1, ?2), vec_distance_ip(?1, ?2), vec_distance_l1(?1, ?2)",
    "SELECT vec_distance_l2(vec_f16(?1), vec_f16(?2)), vec_distance_ip(vec_bf16(?1), vec_bf16(?2))",
    "SELECT vec_distance_cosine(vec_int8(?1), vec_int8(?2)), vec_distance_l1(vec_int8(?1), ?2)",
    "SELECT vec_distance_hamming(vec_bit(?1), vec_bit(?2)), vec_distance_hamming(?1, ?2)",
    "INSERT INTO f32(v) VALUES(?1)",
    "INSERT INTO f16(v) VALUES(?1)",
    "INSERT INTO bf16(v) VALUES(?1)",
    "INSERT INTO i8(v) VALUES(?1)",
    "INSERT INTO b1(v) VALUES(?1)",
    "SELECT rowid, distance, vec_to_json(v) FROM f32 WHERE v MATCH ?1 AND k = ?2",
    "SELECT rowid, distance, vec_to_json(v) FROM f16 WHERE v MATCH ?1 AND k = 3 AND distance < ?2",
    "SELECT rowid, distance, vec_to_json(v) FROM bf16 WHERE v MATCH ?1 AND k = 3 AND rowid > ?2",
    "SELECT rowid, distance, vec_to_json(v) FROM i8 WHERE v MATCH ?1 AND k = 3 AND recall = ?2",
    "SELECT rowid, distance, vec_to_json(v) FROM b1 WHERE v MATCH ?1 AND k = 3 AND exact = ?2",
    "UPDATE f32 SET v = ?1 WHERE rowid = 1",
    "SELECT rowid FROM f32 WHERE v = ?1 OR v > ?2",
    "SELECT vec_to_json(vec_add(?1, ?2)), vec_to_json(vec_sub(vec_int8(?1), ?2))",
    "SELECT vec_normalize(?1), vec_normalize(vec_f16(?1)), vec_add(vec_bf16(?1), ?2)",
    "SELECT vec_to_json(vec_slice(?1, ?2, 3)), vec_slice(?1, 1, ?2)",
    "SELECT vec_slice(vec_bit(?1), ?2, 16), vec_add(vec_bit(?1), vec_bit(?2))",
    "SELECT vec_sum(v), vec_avg(v), vec_avg(vec_int8(v)) FROM (SELECT ?1 AS v UNION ALL SELECT ?2)",
    "SELECT rowid, value FROM vec_each(?1) WHERE value > ?2",
    "SELECT rowid, value FROM vec_each(vec_bit(?1)) UNION ALL SELECT rowid, value FROM vec_each(vec_int8(?2))",
    "SELECT vec_to_json(vec_f16(vec_f32(?1))), vec_to_json(vec_bf16(vec_int8(?2))), vec_int8(vec_f16(?1))",
    "SELECT rowid FROM f32 WHERE v MATCH vec_int8(?1) OR v = vec_f32(?2) LIMIT 2",
    "INSERT INTO f32(v) SELECT vec_int8(?1) UNION ALL SELECT vec_f32(?2)",
    "SELECT shardex_ulid_time(?1), vec_length(vec_version() || ?2)",
};

#define STATEMENT_COUNT (sizeof STATEMENTS / sizeof *STATEMENTS)

static sqlite3 *open_tables(void) {
    sqlite3 *db = fuzz_sql_open(":memory:");
    fuzz_sql_must(db, "CREATE VIRTUAL TABLE f32 USING shardex(v float[4])");
    fuzz_sql_must(db, "CREATE VIRTUAL TABLE f16 USING shardex(v f16[4] distance_metric=cosine)");
    fuzz_sql_must(db, "CREATE VIRTUAL TABLE bf16 USING shardex(v bf16[4] distance_metric=ip)");
    fuzz_sql_must(db, "CREATE VIRTUAL TABLE i8 USING shardex(v int8[4] distance_metric=l1)");
    fuzz_sql_must(db, "CREATE VIRTUAL TABLE b1 USING shardex(v bit[32])");
    fuzz_sql_must(db, "INSERT INTO f32(rowid, v) VALUES(1, '[1,2,3,4]')");
    return db;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static sqlite3 *db;
    static sqlite3_stmt *prepared[STATEMENT_COUNT];
    fuzz_input input = {data, size};
    fuzz_setup();
    if (!db) db = open_tables();
    fuzz_sql_steps();
    size_t which = fuzz_number(&input, 1) % STATEMENT_COUNT;
    sqlite3_stmt **statement = &prepared[which];
    if (!*statement) {
        int rc = sqlite3_prepare_v2(db, STATEMENTS[which], -1, statement, NULL);
        fuzz_sql_judge(db, rc == SQLITE_OK ? rc : SQLITE_INTERNAL, STATEMENTS[which]);
    }
    fuzz_sql_bind(*statement, 1, &input);
    if (sqlite3_bind_parameter_count(*statement) > 1) fuzz_sql_bind(*statement, 2, &input);
    fuzz_sql_must(db, "BEGIN");
    int rc;
    while ((rc = sqlite3_step(*statement)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(*statement); i++) (void)sqlite3_column_blob(*statement, i);
    }
    fuzz_sql_judge(db, rc, STATEMENTS[which]);
    sqlite3_reset(*statement);
    sqlite3_clear_bindings(*statement);
    fuzz_sql_must(db, sqlite3_get_autocommit(db) ? "" : "ROLLBACK");
    fuzz_require((uint64_t)sqlite3_memory_highwater(1) <= FUZZ_MEMORY_MAX);
    return 0;
}
