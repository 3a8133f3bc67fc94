/* Every way into a table `t` with columns v float[2], n INTEGER, s TEXT, +x TEXT: what a damaged one must survive.
** In this order they are also a life of a table; inputs of the fuzzer name them by number.
*/
#ifndef SHX_TEST_BATTERY_H
#define SHX_TEST_BATTERY_H

static const char *const BATTERY[] = {
    "SELECT rowid, distance FROM t WHERE v MATCH '[3,1]' AND k = 5",
    "SELECT rowid, distance, n, s, x, v FROM t WHERE v MATCH '[3,1]' AND k = 5 AND exact = 1",
    "SELECT rowid FROM t WHERE v MATCH '[3,1]' AND n = 1 AND s > 's2' AND x IS NOT NULL LIMIT 3",
    "SELECT rowid, * FROM t",
    "SELECT * FROM t WHERE rowid = 2 OR n = 2",
    "SELECT shardex_info('t'), shardex_recall('t', 3, 5); SELECT * FROM shardex_segments('t'), shardex_shards('t')",
    "SELECT shardex_catch_up('t')",
    "BEGIN; INSERT INTO t(v, n, s, x) VALUES('[1,2]', 1, 'a', 'b'); SELECT rowid FROM t WHERE v MATCH '[1,2]' LIMIT 2",
    "ROLLBACK",
    "COMMIT",
    "INSERT INTO t(rowid, v) VALUES(5000, '[1,2]')",
    "UPDATE t SET n = 9 WHERE rowid < 4",
    "UPDATE t SET v = '[5,5]' WHERE rowid = 3",
    "UPDATE t SET rowid = 77 WHERE rowid = 2",
    "DELETE FROM t WHERE rowid = 1",
    "INSERT INTO t(t) VALUES('integrity-check')",
    "PRAGMA integrity_check",
    "INSERT INTO t(t) VALUES('reconcile')",
    "INSERT INTO t(t) VALUES('rebuild')",
    "INSERT INTO t(t) VALUES('flush')",
    "SAVEPOINT a; DELETE FROM t WHERE rowid = 8; ROLLBACK TO a; INSERT INTO t(v) VALUES('[7,7]'); RELEASE a",
    "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t",
    "DROP TABLE t",
};

#define BATTERY_SIZE (sizeof BATTERY / sizeof *BATTERY)

#endif
