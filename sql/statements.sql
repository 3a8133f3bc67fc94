-- Every statement that the extension runs against its shadow tables.
--
-- A block starts with `-- name: some_name`; embed.py turns it into the C macro SHX_SQL_SOME_NAME (one line, single
-- spaces). The texts are formats of sqlite3_mprintf:
--
--   "%w"."%w_rows"   schema and table name, always in this order, once per shadow table
--   %s               a list assembled from the fragments at the end (documented at each statement)
--
-- Shadow tables of a table t. Column names are positions, so that no declared name can clash:
--
--   t_state    one row: which index this is (uuid) and which commit it shows (commit_id). `operations` counts the
--              row operations of a write transaction that has not been committed yet; it is 0 in every committed state
--              but one that lost its virtual table on the way (see transaction.c). `ring`: the recent commits
--              (see ring.h).
--   t_rows     one narrow row per posting: its fingerprint and the plain columns c0, c1, …
--   t_vectors  the vector of each posting: little-endian elements, bits eight to a byte
--   t_aux      the auxiliary columns a0, a1, …; only when there are any

-- name: create_state
CREATE TABLE "%w"."%w_state"(
    id INTEGER PRIMARY KEY,
    uuid BLOB NOT NULL,
    commit_id BLOB NOT NULL,
    format INTEGER NOT NULL,
    operations INTEGER NOT NULL,
    ring BLOB NOT NULL
);

-- Argument 3: plain_definition for each plain column.
-- name: create_rows
CREATE TABLE "%w"."%w_rows"(
    id INTEGER PRIMARY KEY,
    vector_hash INTEGER NOT NULL,
    column_hash INTEGER NOT NULL%s
);

-- name: create_vectors
CREATE TABLE "%w"."%w_vectors"(id INTEGER PRIMARY KEY, vector BLOB NOT NULL);

-- Argument 3: auxiliary_definition for each auxiliary column.
-- name: create_aux
CREATE TABLE "%w"."%w_aux"(id INTEGER PRIMARY KEY%s);

-- Arguments of drop and rename: schema, table, which shadow table; and for rename the new name and the shadow table.
-- name: drop_shadow
DROP TABLE IF EXISTS "%w"."%w_%s";

-- name: rename_shadow
ALTER TABLE "%w"."%w_%s" RENAME TO "%w_%s";

-- name: insert_state
INSERT INTO "%w"."%w_state"(id, uuid, commit_id, format, operations, ring) VALUES(1, ?1, ?2, ?3, 0, ?4);

-- name: read_state
SELECT uuid, commit_id, format, operations FROM "%w"."%w_state" WHERE id = 1;

-- name: read_ring
SELECT ring FROM "%w"."%w_state" WHERE id = 1;

-- name: write_state
UPDATE "%w"."%w_state" SET commit_id = ?1, operations = 0, ring = ?2 WHERE id = 1 AND uuid = ?3;

-- name: mark_state
UPDATE "%w"."%w_state" SET operations = ?1 WHERE id = 1 AND operations <> ?1;

-- The names of all tables that could be the state of a table that was renamed. Argument: schema.
-- name: find_states
SELECT substr(name, 1, length(name) - length('_state')) FROM "%w".sqlite_schema
WHERE type = 'table' AND name LIKE '%%\_state' ESCAPE '\';

-- A row if this table says that the index is its own. Arguments: schema, the name.
-- name: names_index
SELECT 1 FROM "%w"."%w_state" WHERE id = 1 AND uuid = ?1;

-- The uuid of a table that find_states has found. Arguments: schema, the name.
-- name: hex_uuid
SELECT lower(hex(uuid)) FROM "%w"."%w_state" WHERE id = 1 AND typeof(uuid) = 'blob' AND commit_id IS NOT NULL;

-- A new row; nothing is changed when its id is taken. Arguments 3 and 4: plain_name and value_slot for each plain
-- column.
-- name: insert_row
INSERT OR IGNORE INTO "%w"."%w_rows"(id, vector_hash, column_hash%s) VALUES(?1, ?2, ?3%s);

-- Arguments 3 and 4 as there.
-- name: put_row
INSERT OR REPLACE INTO "%w"."%w_rows"(id, vector_hash, column_hash%s) VALUES(?1, ?2, ?3%s);

-- Arguments 3 and 4: auxiliary_name and value_slot for each auxiliary column.
-- name: put_aux
INSERT OR REPLACE INTO "%w"."%w_aux"(id%s) VALUES(?1%s);

-- name: put_vector
INSERT OR REPLACE INTO "%w"."%w_vectors"(id, vector) VALUES(?1, ?2);

-- name: delete_row
DELETE FROM "%w"."%w_rows" WHERE id = ?1;

-- name: delete_aux
DELETE FROM "%w"."%w_aux" WHERE id = ?1;

-- name: delete_vector
DELETE FROM "%w"."%w_vectors" WHERE id = ?1;

-- First argument: plain_name for each plain column.
-- name: read_row
SELECT vector_hash, column_hash%s FROM "%w"."%w_rows" WHERE id = ?1;

-- One row as walk_rows gives all of them.
-- name: find_row
SELECT id, vector_hash, column_hash FROM "%w"."%w_rows" WHERE id = ?1;

-- First argument: auxiliary_name for each auxiliary column.
-- name: read_aux
SELECT id%s FROM "%w"."%w_aux" WHERE id = ?1;

-- name: read_vector
SELECT vector FROM "%w"."%w_vectors" WHERE id = ?1;

-- How many rows there are, counted no further than ?1.
-- name: count_rows
SELECT count(*) FROM (SELECT 1 FROM "%w"."%w_rows" LIMIT ?1);

-- name: walk_rows
SELECT id, vector_hash, column_hash FROM "%w"."%w_rows" ORDER BY id;

-- name: walk_vectors
SELECT id, vector FROM "%w"."%w_vectors" ORDER BY id;

-- name: walk_aux
SELECT id FROM "%w"."%w_aux" ORDER BY id;

-- The row's columns for a cursor that goes through the table. Argument 1: plain_name for each plain column; then
-- schema, table; argument 4: the condition, made of condition_… fragments; argument 5: order_up or order_down.
-- name: scan_rows
SELECT r.id%s FROM "%w"."%w_rows" AS r WHERE 1%s ORDER BY r.id%s;

-- Does the row ?1 satisfy the condition (argument 3)?
-- name: check_row
SELECT 1 FROM "%w"."%w_rows" AS r WHERE r.id = ?1%s;

-- The rows that satisfy the condition (argument 3), with their vectors.
-- name: scan_vectors
SELECT r.id, v.vector FROM "%w"."%w_rows" AS r CROSS JOIN "%w"."%w_vectors" AS v ON v.id = r.id WHERE 1%s
ORDER BY r.id;

-- name: count_all
SELECT count(*) FROM "%w"."%w_rows";

-- Is it still allowed to run? Where sqlite3_is_interrupted is not to be had, stepping this tells.
-- name: probe
SELECT 1;

-- The functions of the connection: name, builtin, type, enc, narg, flags. (As a table the pragma would read the
-- database's schema, which may be locked, or encrypted under a key that is yet to come.)
-- name: vector_functions
PRAGMA function_list;

-- The modules of the connection, as the functions.
-- name: modules
PRAGMA module_list;

-- As many bytes as a letter has in the database's encoding; an authorizer may deny PRAGMA encoding.
-- name: letter
SELECT CAST('a' AS BLOB);

-- name: list_databases
PRAGMA database_list;

-- What table functions look like (table_function.h).
-- name: declare_stats
CREATE TABLE x(name TEXT, value, unit TEXT, "table" HIDDEN, "schema" HIDDEN);

-- name: declare_segments
CREATE TABLE x(segment INTEGER, file TEXT, rows INTEGER, dead INTEGER, shards INTEGER, bytes INTEGER, "table" HIDDEN,
    "schema" HIDDEN);

-- name: declare_shards
CREATE TABLE x(shard INTEGER, open INTEGER, rows INTEGER, dead INTEGER, segments INTEGER, scatter REAL, "table" HIDDEN,
    "schema" HIDDEN);

-- name: declare_reader
CREATE TABLE x(vector BLOB, path HIDDEN);

-- name: declare_each
CREATE TABLE x(value, vector HIDDEN);

-- Makes SQLite connect the virtual table.
-- name: touch_table
SELECT 1 FROM "%w"."%w" LIMIT 0;

-- A read that lasts until the statement is reset, whatever the database holds. Argument: schema.
-- name: hold_read
SELECT count(*) FROM "%w".sqlite_schema UNION ALL SELECT 0;

-- The virtual tables of a schema, as argument.
-- name: list_virtual_tables
SELECT name FROM "%w".sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%%';

-- Brings the index of one table of a copy up to date.
-- name: catch_up_table
SELECT shardex_catch_up(%Q, 'main');

-- Fragments. Lists of columns:

-- name: plain_name
, c%d;

-- name: plain_definition
, c%d %s;

-- name: auxiliary_name
, a%d;

-- name: auxiliary_definition
, a%d %s;

-- name: value_slot
, ?%d;

-- name: number_slot
, (CAST(?%d AS NUMERIC));

-- Left sides of conditions:

-- name: subject_rowid
r.id;

-- name: subject_plain
r.c%d;

-- name: subject_auxiliary
(SELECT x.a%d FROM "%w"."%w_aux" AS x WHERE x.id = r.id);

-- A condition: left side, operator, parameter. In the one of several readings the right side may also have come from a
-- column, with a numeric affinity or with none, which a value does not show: it accepts whatever any reading accepts.

-- name: condition
 AND %s %s ?%d;

-- name: condition_or_numeric
 AND (%s %s ?%d OR %s %s CAST(?%d AS NUMERIC) OR +%s %s ?%d);

-- Arguments: the same, and once more the left side.
-- name: condition_or_blob
 AND (%s %s ?%d OR typeof(%s) = 'blob');

-- name: condition_null
 AND %s %s NULL;

-- name: condition_in
 AND %s IN (%s);

-- Arguments: left side and its values; once more, and those that are numbers.
-- name: condition_in_or_numeric
 AND (%s IN (%s) OR %s IN (VALUES %s));

-- name: order_up
 ASC;

-- name: order_down
 DESC;
