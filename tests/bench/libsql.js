// node libsql.js build|query SET_FOLDER WORK_FOLDER: libSQL, which is a fork of SQLite and no extension, so not the
// driver's business; the same steps and the same lines of output (measure.h). Its index takes hours for large sets:
// inserting stops after INSERT_SECONDS, which fails the run but still prints the rate.
'use strict';
const fs = require('fs');
const path = require('path');
const Database = require('libsql');

const NAME = 'libsql';
const ANSWERS = 10;
const TRUTH_DEPTH = 100;
const INSERT_SECONDS = 150;
const FEWEST_QUERIES = 30;
const PASS_SECONDS = 12;
const PASSES = 3;

const [, , action, setFolder, workFolder] = process.argv;
const [dimensionsText, metric] = fs.readFileSync(path.join(setFolder, 'shape'), 'utf8').trim().split(' ');
const rowBytes = Number(dimensionsText) * 4;
const distance = metric === 'cosine' ? 'vector_distance_cos' : 'vector_distance_l2';

const seconds = () => performance.now() / 1e3;
const cpuSeconds = () => (({ user, system }) => (user + system) / 1e6)(process.cpuUsage());
const fact = (name, value) => console.log(`fact,${NAME},${name},${value}`);
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

function memory(field) {
    const line = fs.readFileSync('/proc/self/status', 'utf8').split('\n').find((text) => text.startsWith(`${field}:`));
    return parseFloat(line.split(':')[1]) / 1024;
}

function open() {
    const database = new Database(path.join(workFolder, 'bench.db'));
    database.pragma('journal_mode=WAL');
    database.pragma('synchronous=NORMAL');
    return database;
}

// Inserts until the time is up, in transactions of 1,000 (one of all rows would keep all index pages in memory).
function insertRows(database, base, rowCount) {
    const insert = database.prepare('INSERT INTO t(id, v) VALUES (?, ?)');
    const row = Buffer.alloc(rowBytes);
    const start = seconds();
    let inserted = 0;
    while (inserted < rowCount && seconds() - start < INSERT_SECONDS) {
        database.exec('BEGIN');
        for (const end = Math.min(inserted + 1000, rowCount); inserted < end; inserted++) {
            fs.readSync(base, row, 0, rowBytes, inserted * rowBytes);
            insert.run(inserted + 1, row);
        }
        database.exec('COMMIT');
    }
    fact('insert rows/s', inserted / (seconds() - start));
    return inserted;
}

function build() {
    const base = fs.openSync(path.join(setFolder, 'base.f32'));
    const rowCount = fs.fstatSync(base).size / rowBytes;
    const start = { wall: seconds(), cpu: cpuSeconds() };
    const database = open();
    database.exec(`CREATE TABLE t(id INTEGER PRIMARY KEY, v F32_BLOB(${dimensionsText}));
        CREATE INDEX t_v ON t(libsql_vector_idx(v, 'type=diskann', 'metric=${metric}'))`);
    const inserted = insertRows(database, base, rowCount);
    database.close();
    fact('rows', inserted);
    if (inserted < rowCount) {
        console.error(`bench: ${NAME}: ${inserted} of ${rowCount} rows after ${INSERT_SECONDS} s, given up`);
        process.exit(3);
    }
    fact('build s', seconds() - start.wall);
    fact('build CPU s', cpuSeconds() - start.cpu);
    fact('build peak MB', memory('VmHWM'));
}

function countFound(rows, truth, query) {
    const nearest = truth.subarray(query * TRUTH_DEPTH, query * TRUTH_DEPTH + ANSWERS);
    return rows.filter(([id]) => nearest.includes(id - 1)).length;
}

function pass(answer, queries, truth) {
    const start = { wall: seconds(), cpu: cpuSeconds() };
    const latencies = [];
    let found = 0;
    for (let query = 0; query < queries.length; query++) {
        const before = seconds();
        if (query >= FEWEST_QUERIES && before - start.wall > PASS_SECONDS) break;
        const rows = answer(queries[query]);
        latencies.push(1e6 * (seconds() - before));
        found += countFound(rows, truth, query);
    }
    const count = latencies.length;
    latencies.sort((a, b) => a - b);
    return {
        count,
        recall: found / (count * ANSWERS),
        columns: [count / (cpuSeconds() - start.cpu), count / (seconds() - start.wall),
            latencies[Math.round(0.5 * (count - 1))], latencies[Math.round(0.99 * (count - 1))]],
    };
}

function measureSetting(setting, answer, queries, truth) {
    for (const query of queries.slice(0, FEWEST_QUERIES)) answer(query);
    const passes = [];
    do passes.push(pass(answer, queries, truth));
    while (passes.length < PASSES && passes[passes.length - 1].count === queries.length);
    const columns = [0, 1, 2, 3].map((i) => median(passes.map((one) => one.columns[i])).toPrecision(6));
    console.log(`query,${NAME},${setting},${passes[0].recall.toFixed(5)},${columns.join(',')}`);
}

function query() {
    const flat = fs.readFileSync(path.join(setFolder, 'queries.f32'));
    const truthBytes = fs.readFileSync(path.join(setFolder, 'truth.i32'));
    const truth = new Int32Array(truthBytes.buffer, truthBytes.byteOffset, truthBytes.length / 4);
    const queries = Array.from({ length: flat.length / rowBytes },
        (_, i) => flat.subarray(i * rowBytes, (i + 1) * rowBytes));
    const start = seconds();
    const database = open();
    const search = database.prepare(`SELECT t.id FROM vector_top_k('t_v', ?1, ?2) AS near JOIN t ON t.id = near.id
        ORDER BY ${distance}(t.v, ?1) LIMIT ${ANSWERS}`).raw(true);
    search.all(queries[0], ANSWERS);
    fact('first answer ms', 1e3 * (seconds() - start));
    for (const k of [10, 20, 50, 100, 200, 400])
        measureSetting(`top ${k}`, (vector) => search.all(vector, k), queries, truth);
    fact('serve own MB', memory('RssAnon'));
    fact('serve mapped MB', memory('RssFile'));
}

(action === 'build' ? build : query)();
