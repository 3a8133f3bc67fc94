/* driver build|query ENGINE EXTENSION SET_FOLDER WORK_FOLDER: measures one SQLite extension.
**
** Every extension is treated alike, through SQL: `build` creates the table in WORK_FOLDER/bench.db, inserts all rows
** through one prepared statement in one transaction and runs what the engine wants afterwards; `query`, a process of
** its own, opens that database, answers a first query, and then all queries through one prepared statement, once for
** each setting of the engine. What is printed: measure.h.
**
** Rows are loaded as a user would load so many at once: in the journal mode that SQLite starts with, fully
** synchronous, with a page cache of 32 MB instead of 2. A log takes each page of a load twice, once into the log and at
** COMMIT from there into the database; and with the small cache SQLite writes inner pages of a tree again and then
** computes the checksums of the whole log a second time. Queries are answered in WAL mode, in which `build` leaves the
** database.
**
** Ledger of the search path (k = 10, one thread, 341k words of 100 dimensions, cosine, unless it says otherwise).
** Floor, before any code: recall 0.95 needs about 1.2 % of the rows (4,100) by exact distances, half of them by bits
** with error bounds and a stop rule: 2,000 rows x 24 bytes = 48 KB of codes, 5 us at 10 GB/s; centroids (2,700 codes)
** 8 us; 200 refined x 40 ns + 14 vectors x 200 ns = 11 us; SQL 3 us: about 30 us, 33,000 queries/s.
**     prediction | change | result
**     (2026-11-21, CPU times of the engine alone on a busy machine, before and after in turns; "text" is a real set of
**     318,121 x 768, cosine, "descriptors" one of 519,586 x 128, l2)
**     a far block needs a third of its 768 dimensions to be told from a near one: bytes / 2.5 | a head is looked at
**         first, factors stand before the codes, heads are fetched ahead | text, 0.99: 1,430 -> 1,130 us, the same
**         rows found; nothing at 128 dimensions, which have no head
**     measuring centroids is 22 % of a query on text, their bytes / 4 | centroids of i8 | 1,130 -> 1,000 us; 768-d
**         directories 31 -> 8 bytes a row; descriptors unchanged (54 us at 0.95; decoding costs what memory saves)
**     ordering shards by distance less their spread: fewer rows | tried on the words outside the engine | none: 11.7k
**         rows by distance alone, 11.3k to 50k with a share of the spread. Not built
**     fewer centroids measured (a first cut of 64) | tried | none below 192 on the words; 96 with a better estimate
**     (the same day, again; each query's least time of many passes, as the machine is busy. Descriptors at 0.95 took 50
**     us: preparation 1, router codes 3.4, measuring and ordering centroids 13.6, scans and refining 23, exact 4.5. A
**     query repeated at once, with all it reads in the cache and its branches learnt, takes 25)
**     274 centroids are measured for 51 shards, 43 ns each, 20 of them wrong guesses of the heap | measured in one go,
**         sorted after; positions found without branches; none beyond the limit of the stop rule | 13.6 -> 8.5 us
**     124 of 239 refined rows only serve the first threshold | the k + 8 nearest of the first shard give it; survivors
**         are compared with the threshold again | 148 refined; words 574 -> 467, text 139 -> 48
**     both, and no look at rowids that nobody asks for | descriptors 46.4 -> 39.4 us (0.99: 78.6 -> 70.2), words 87 ->
**         75 (181 -> 166), text 171 -> 154
**     deeper look-ahead, codes fetched into the first level, fetched a block at a time | tried | none within 1 %
**     vectors fetched while the scan goes on: 2.5 us of the exact part | tried | none; the scan waits instead
**     codes and refine codes on huge pages, to see what address translation takes | tried | 2.6 of 40 us: no reason to
**         put factors beside refine codes
**     a shard whose rows lie farther from its centroid has fewer of them near a query that is as far away: 10 to 30 %
**         fewer rows | shards ordered by distance plus 0.3 x scatter (base.c); above, a part was taken away | rows at
**         0.95 and 0.99 (float oracle): words 11.5k -> 9.4k, 30.2k -> 25.0k; text 4.8k -> 2.9k, 51.9k -> 38.9k;
**         descriptors 4.8k -> 4.7k, 11.1k -> 10.5k; 768 generated 830 -> 540, 2.5k -> 1.5k. Words 78 -> 70 us,
**         descriptors 45 -> 44. 0.2 and 0.4 are as good; text would like 0.6, descriptors 0.2
**     a reference between the first shard and the k-th distance (their geometric mean) needs 4 to 7 % fewer rows |
**         tried outside the engine | 0 to 4 % once scatter is counted. Not built
**     left: table sums 16 % (5.2 of 6 us are the kernel's own), fetching refine codes 12 %, fetching scan codes 10 %,
**         centroids 9 %, router codes 6 %
**     (the same day, later; load 8 to 15; both sides in one process, pass by pass in turns, each query's least time)
**     prefetches wait for address translation: 13 % of the samples in those of refine codes, 8 % of scan codes | zeros
**         are written over each 2 MB of a segment before anything in it, so that the page cache has large pages
**         (container.h; Linux 6.18, ext4: 299 of 324 MB are mapped so) | descriptors 42.3 -> 36.8 (0.99: 73.5 -> 63.2),
**         words 78 -> 73 (173 -> 162), text 106 -> 101; k = 100 151 -> 126. A file that comes from the disk has small
**         ones. Writes of 16 KB to 1 MB instead, for four neighbouring pages in one entry: a third of it
**     factors beside refine codes, and both behind the blocks of their run, for fewer pages | tried | 4 % slower: 76
**         bytes are always two lines. Not built
**     a row that passes the scan codes costs as much as 30 scanned ones | bounds of 1.1, 1.4, 1.7, 2.1 deviations
**         instead of 1.5, 1.5, 2.0, 2.6 | at equal recall descriptors 41.3 -> 39.4 at 0.95, 66 -> 61 at 0.99, words 76
**         -> 72 and 163 -> 151. But calibration then asked for a third more shards than it must (0.995 -> 0.998)
**     the losses of bounds were foreseen with a threshold that searches have only later | what a posting meets is noted
**         where it is met, and what is lost and what is not probed are counted together | what is asked for is found as
**         before; descriptors 41.7 -> 37.1 (0.98: 57.1 -> 49.5, 0.99: 74 -> 62), words 81 -> 75 at 0.95
**     (the same day, last; load 10 to 20, both sides in one process in turns, 128 rows a shard beside the others)
**     a quarter of a query on descriptors is for 4,600 shards, of which it scans 49, and it grows with their number: a
**         root law | shards of 128 x sqrt(rows / 250,000) rows (maintain.c has the times) | 1M generated x 128 a fifth
**         less at 0.95, a quarter at 0.99; descriptors (184) 4 % less at 0.95 through SQL, nothing sure at 0.99 (the
**         engine with 256: 3 to 6 % at both); words and text have 144 to 149 rows now. At 256 text scans twice the rows
**         at 0.95; at 192 it takes as long as at 128, at 0.99 3 % less
**     what leads to a shard (its runs' places) is a cache miss after the other: 2 us | fetched one shard earlier each;
**         codes whole, up to 16 KB | 1 to 3 %. The first 512 or 1,024 bytes only, the rest by the processor: 4 to 7 %
**         slower
**     187 centroids are measured for 44 shards, where 124 are within the limit in the end (words: 457, 321, 105
**         shards) | tried: cuts half as large again, not twice and at most a fifth of the way to the limit, which falls
**         | a fifth fewer are measured; 1 to 4 % of the time, and 0.001 of recall. Not built. Two fifths of the way and
**         no other cut: descriptors 246, text 630 instead of 158. A first cut of 32, 48, 64: 3 to 4 % slower, as its
**         sample grows
**     the same with bounds of 0.6, 0.3 and 0 deviations | tried | words 353, 290, 243 measured, but 0.002, 0.006, 0.012
**         of recall: nothing gained
**     left through SQL: 85 % is the engine's, the rest SQLite's locks (two fcntl and an fstat, 3 us) and its own code
**     (2026-11-21, at night, load 10; sets of other kinds, real ones: 300,000 frames of speech as 20 cepstra and their
**     slopes, 254,536 patches of 8 x 8 x 3 pixels of pictures, 361,428 places of them as 8 numbers of colour and edges;
**     all l2. hnswlib finds 0.95 there with ef of 10 to 20: 23,000, 22,000 and more than 55,000 queries/s)
**     rounding of the query is in proportion to |query|, the codes' error to a shard's radius; of speech a tenth to an
**         eighteenth of |query|: 216 of 318 refined rows are compared. Without that rounding 14 would be | a second
**         rounding of what the first leaves out, by the same kernels, for queries that would feel it
**         (shx_query_sharpen) | speech 38 -> 22 us at 0.95, 63 -> 32 at 0.99, 13 compared; fewer shards, too, as
**         calibration measures the same. Eight numbers 26 -> 20 and 30 -> 22, patches 31 -> 27; descriptors and words,
**         whose queries hardly feel it, as before. Felt from half or a quarter of the codes' error on: none
**     the tables' rounding was none of the bounds' deviations | it is | near copies of 40 rows: found 0.72 of 0.80
**         with sharp thresholds, now 0.82 and 0.87
**     vectors of at most 256 bytes instead of refine codes, which are no shorter | tried | as good as sharpening on
**         speech and eight numbers, 13 to 24 % slower on 119,000 words x 25 (cosine). Not built
**     3 to 9 shards are probed of patches, digits and eight numbers, 96 centroids measured | a first cut of 32: tried |
**         13 to 25 % slower: most cuts are raised, and the sample for a cut is larger
**     inner products of 118,931 x 96 whose norms are 1.1 (median) to 17 (M, the 99.9th percentile) | not built |
**         690 us at 0.95, half of 24,768 scanned rows are refined, 0.985 found of 0.99: codes lie 17 away from every
**         query along the axis that ip appends, where all of it is known. Left: residuals coded without that axis,
**         its part of the product (the query's coordinate there is always 0) in `add`, and bounds by the distance
**         without it
**
** Ledger of long searches and of SQL (the words, CPU times on a busy machine, 2026-11-21). "Plain" is one pass of
** float32 dot products (AVX2, FMA) over vectors that were normalised beforehand, quickselect, qsort of the k.
**     a look in float instead of three sums in double: 4 x | 4,900 rows, exact | 354 -> 136 us (4.50 -> 1.19 M
**         instructions; the same search through the shadow table takes 1,430 us)
**     exact reads codes, 30 ns a row, and vectors twice for large k: to read vectors once is 20 ns | 100,000 rows,
**         exact, k = 10, 1,000, 10,000 | 2.9, 5.0, 9.9 -> 2.0, 2.9, 5.7 ms (plain 2.0, 2.1, 2.8)
**     select among 2k instead of a heap of k (unmeasured before) | all 340,477 rows | exact: k = 10 6.9 ms (plain 5.5),
**         k = 100,000 31 ms (plain 18); recall 0.95: k = 10,000 3.5 ms (plain 6.9), k = 100,000 24 ms (plain 18)
**     connections contend for nothing | two threads with a connection each | 118 us of CPU a query alone, 116 beside
**         another, no waits for locks (wall time told nothing on that machine)
**     allocations of a cursor cost what SQL does | scratch and hits wait for the next query | 21,000 instructions above
**         the engine (not measured before), 10,000 of them SQLite's own; 10 rows in the table: 6.5 us, where a
**         plain SELECT of 10 rows takes 3.5. Left: the state row 4,500, the query's vector 1,200, the filter's text 700
**     (the same day, medians of 15, load 4 to 8 on two cores, before and after in the same quarter of an hour)
**     one of 1,000 partitions is 340 rows x 20 ns and the SQL | SQLite reads no row again to check a condition on a
**         number; a vector is hashed once in a process; rows are looked at together, far ones without root and
**         division | 69 -> 18 us (plain 6.6). Left: 6 us of SQL, and 340 pages that are not side by side
**     large k pays for hits that fall out, their sort and fresh memory | nearest shards first from k = rows / 16 on,
**         buckets instead of quicksort, one cursor keeps its memory (5 ms of page faults) | exact: k = 1,000 10.4 ->
**         9.1 ms, 10,000 16.0 -> 13.7, 100,000 46 -> 37 (plain 7.9, 8.9, 19); recall 0.95, k = 100,000 44 -> 38. To go
**         by distance below that share cost more than it saved (k = 1,000: 12 ms). Left: 100,000 rows through SQL 8 ms,
**         their exact distances 8 ms
**     SQL itself may be what a small table pays for | the quickest pass through SQL measured beside (long.c) | it takes
**         1.5 times as long as shardex at 10 rows, 3.8 at 100, 4.9 at 1,000, 8.3 at 5,000, 4.3 for one of 1,000
**         partitions, 8 to 25 for exact searches and radius
**     the 340 rows wait for memory and address translation | 16 to 64 rows fetched ahead while others are looked at |
**         none: 16.8 us with all in the cache as before, 55 instead of 53 with nothing in it. Not built
**     rows that the index found are read again to check a condition on text | not for an equality with a text that
**         stands in the query; the text of a cursor's statements is kept | allocations of a query of ten rows 38 -> 0
**         (a parameter, which may be anything: 39 -> 32, SQLite's own); six numbers IN 31 -> 21
**     10,000 to 20,000 rows: all codes cost more than shards | shards from 10,000 rows on | 19,000 words at 0.95, 0.99,
**         0.999: 61, 61, 62 -> 25, 33, 46 us, found 0.958, 0.993, 0.999; from 5,000 on too (33 -> 19 us at 6,000), but
**         ip then missed its recall in a test after its bound moved. 12,000 x 768 (text): 96 -> 66, 79, 92 us
**     (the same day, in the evening; load 15 to 30; plain C as a virtual table, and SQLite with the answer ready, are
**     measured beside, short queries in a row: long.c. Floor: SQLite takes 2.7 us for ten rows of a virtual table that
**     has them ready, three calls of the system among it; plain C 0.4 us for 10 rows, 2.4 for 100, 6.1 for 340 side by
**     side. Both together are 8, 2.1 and 1.4 times plain C: through SQL, twice plain C cannot be had at 10 and 100)
**     tables of 10 and 100 rows took 31,000 and 65,000 instructions, 10,950 of them SQLite's: looks at rows that are
**         all compared anyway, a query rotated to order its one shard | neither, where two thirds of a small table
**         are asked for, or below 2,000 rows | 23,300 and 52,500; 5.5 -> 5.0 and 8.5 -> 7.4 us
**     340 listed rows: whether one lives, is tested or wants to stop is asked for each | for a segment, for 32 rows |
**         a seventh of the instructions, 14.4 -> 13.3 us
**     candidates are sorted where all of them are compared | not if they are hardly more than k | 300 of 1,000 rows
**         92.7 -> 88.5 us
**     sums of 2 (AVX2) or 4 rows (AVX-512) at a time, folded together, and far rows left out without a branch: half
**         the instructions of a look | tried | nothing: 400 bytes a row come no faster; 5 % slower for 340,000
**     a vector's last elements are copied behind zeros, |query| is taken for each distance | loaded under a mask, taken
**         once | a tenth to a fifth of an exact distance's instructions; 1 to 3 % for k = 100,000
**     result, times plain C, and times plain C as a virtual table: 10 rows 10 and 1.4, 100 rows 2.9 and 1.6, one of
**         1,000 partitions 2.6 to 3.0 and 2.0 to 2.4, k = 100,000 1.7 to 1.9 and 1.4; all else at most 1.5. Left: the
**         partition's 340 places, where 40 % of the walk waits for addresses. SQL above the engine: 14,700
**         instructions, 2.4 us on a calmer machine, SQLite's 10,950 among them
**     (the same day, at night; load 6 to 15, so best phases; "others": another partition each time, which nothing has
**     in its caches. Floor of 340 rows: 136 KB once, 6.4 us of plain C in the cache, 10 from memory, SQLite 2.7)
**     340 rows that lie apart are 2,500 lines of memory, 340 beginnings: 55 us where plain C, with a copy of them side
**         by side, takes 10; no prefetching helps, it is the memory that is busy | the vectors of a partition key's
**         values stand side by side (segment.h: seats), exact searches go by seats | one of 1,000 15.0 -> 11.3 us
**         (plain 6.4, its table 7.8), others 55 -> 17 (10, 9.8); one of 100 150 -> 52 (62), others 426 -> 68 (105); one
**         of 10,000 6.3 -> 5.9 (1.0, 3.5), others 10.8 -> 8.6 (1.4, 3.8); a fifth, exact: 8.2 -> 1.25 ms (1.5), k =
**         1,000 10.0 -> 2.1 (2.0), k = 10,000 11.8 -> 4.7 (2.9)
**     a row that is looked at takes 128 instructions for its sums and 100 for the rest | a block's rows are taken,
**         marked and tested together | 100 -> 45, in part for columns without a key, too
**     what is far ahead of a finalist waits for where its vector stands | rowid and seat are fetched a step earlier;
**         hits are dealt into buckets from 128 on, not from 1,024 | 1,000 of 3,450 rows 390 -> 310 us (139, table 201)
**     thresholds of looks may lag from k = 33 on | 100 of 336 rows 39.7 -> 36.8 us (11.4, 17.6; SQLite alone 8.0)
**     runs in a mixed order, so that the threshold falls early | tried | all rows, k = 1,000 6.8 -> 9.1 ms, 10,000 13.5
**         -> 14.1: not built
**     both ends of a condition are sought from the top | the second one from the first on | tried: less than 2 % of a
**         query of 31 rows. Not built
**
** Ledger of the build (60,000 x 768, CPU seconds of load + optimize on a busy machine with AVX-512, 2026-11-21).
** Floor of 1M x 768 on one core: sample and train 2 s, assign 4.5 s, rotate 2 s, encode 2-3 s, write 3-8 s.
**     half the CPU: the first build and `optimize` do the same twice | optimize leaves alone what was just built |
**         10.5 -> 4.75 (words: 17.8 -> 9.4)
**     words, 10 %: logarithms are taken again in each trial of the calibration | taken once, trials on all threads |
**         log1p gone from the profile
**     rotate 14.6 %, encode 13.5 % of the CPU | AVX2 kernels | 3.1 % and under 1 %; 4.75 -> 3.86
**     hnswlib in the same hour, same set and threads: 53.9 CPU seconds, 12.6 times ours (4.28 then)
**     1M x 768, the machine seven times overbooked: 110 CPU seconds with the load; codes 123, refine 396,
**         ids 28, directories 40 MB; open to first answer 17-19 ms, 9 of them CPU
**     left: panels of the assignment 11 %, copying into the page cache 12 %, scans of the calibration 7 %
**     calibration is half of a flush (words 2.3 of 4.7, descriptors 1.0 of 5.3, text 6.4 of 18.2); to search once for
**         the truth and again for the losses costs the most: to a tenth | one walk a query leaves a trace that all
**         rules, k and widths of the bounds are tried on; no vector is read; 100 of all neighbours are 12 of one block
**         in eight; as many queries as 100 passes over the table pay for, 350 to 1,050 | words 0.24 of 2.7, descriptors
**         0.40 of 4.7, text 1.2 of 12.9: 9 %. 30,000 words: 0.32 of 0.46 -> 0.04 of 0.16, a quarter
**     calibration of small tables a quarter of a flush, of l1 68 % (60,000 x 128), of hamming 45 % | fewer queries
**         below 200,000 rows (mostly 90 to 170 for 348), with a wider margin for so few, k = 1 as k = 10 where fewer
**         than 6 queries may miss it; l1 by bytes, hamming a block at a time | words of 12,000, 30,000, 60,000 rows 24,
**         24, 20 % -> 14 to 15, 11 to 12, 9 to 11; descriptors 33, 22, 16 -> 13, 9 to 11, 9 to 12; l1 17, hamming
**         12 (96 bits: 52 -> 17). Not to a tenth at 12,000 and for l1: less than some 90 queries do not hold the recall
**         (k = 1, 0.99: 0.976 before it followed k = 10). Found by 2,000 held out at 0.80 to 0.999, k = 1, 10, 100:
**         at most 0.008 less than asked, 0.003 from 0.99 on; small tables scan more than they must at high recalls
**     shares of the CPU time of `rebuild` through SQL, the kernel's included, load 10 to 18, before and after in turns:
**         words of 12,000 and 30,000 rows 19, 12 %, descriptors of 12,000 and 60,000 26, 16 % (l1 27, 27), int8 15,
**         bit[768] 10 (60,000) | dimensions by 4 looks at a part of the shards instead of 12 at all (24 % of the words'
**         calibration); a leader's choice of beta prices one recall, few queries try every other beta, no more is
**         sorted than the upper fifth (fit halved); memory for the queries that there are; without codes, walks go
**         together, so that a row is read once for twenty queries, and int8_l1 takes four rows together; 36 pilots
**         instead of 48, and no more others than 30 and one for 500 rows | instructions of the calibration of 12,000
**         words 95 M -> 72 M, with fewer queries 51 M (15 -> 9 % of the rebuild, AVX2, without the kernel); shares
**         10, 10 %, descriptors 9 to 11, 7 (l1 12 to 13, 10), int8 7, bit[768] 6, words whole 7, 768-d 5. Found by
**         1,500 held out from 12,000 rows, ten tables each, cells of k and recall below asked - 0.01 (0.003 from
**         0.99): words 2 of 210 (2 of 168 before), descriptors 3 of 210 (3 of 168), l1 2 of 126 (1,000 and six tables;
**         5 of 126); 30,000 x bit[768] 0 of 42; words and words-20k with filters 0 of 90 each. Left of l1 at 12,000:
**         30 % make the bytes
**     survivors are compared with the list again before they are refined | tried | none is left out by it
**     l1's bytes rounded by clamping floats, not their bits | tried | half as many instructions again: branches
**     a walk to 14 % of the words for 780 queries instead of 40 % for 350, the same time | tried | what lies beyond the
**         walk was misjudged by so few pilots: 0.971 where 0.99 was asked (k = 100). Walks go far beyond now
**     filters are met without overshoot if they are fitted as filters | theta grows by the logarithm of what is left
**         out, as fitted on one row in eight | words, random 10 %, k = 10, 0.80: 0.813; 3 %: 0.82 (k = 100: 0.818).
**         A cell far away at 3 % fell to 0.71: with 0.2 more per e-th of the usual share 0.81 (descriptors: 0.92, more
**         than asked). Without a filter 0.99 is 0.987 to 0.991 on the words, by the sample of queries
**     the sample gives a leaf 27 rows of text, 64 of words and descriptors: one more step of Lloyd's algorithm over all
**         rows, to scan a tenth less | a mean and a second assignment, 5 CPU s for 318,000 x 768, 1 for descriptors |
**         rows scanned at 0.95 and 0.99: text 14,564 -> 6,727 and 89,873 -> 53,501, descriptors 5,950 -> 5,642 and
**         13,894 -> 13,402, words 15,151 -> 14,404 and 43,849 -> 40,281. A second step: nothing more but on text at
**         0.95; fewer probes in the first pass: nothing saved
**     two assignments are 11 of the 16 CPU s of a flush of 300,000 x 768, 10 s each at 1M: 0.58 T products at 57 G a
**         second and core, the peak of floats | products of bytes (VNNI: 220 G, AVX2: 100 G), scores and the lowest of
**         them in vectors, points not rotated until they are coded, 1,024 rows a block | CPU s of a flush, in the same
**         hour: 300,000 x 768 17.4 -> 8.8, text 23.8 -> 14.2, descriptors 7.4 -> 4.8, words 4.4 -> 2.9; rows scanned
**         within 2 % either way. Through SQL, 300,000 x 768: 34.7 -> 21.8, hnswlib 302
**     the step over all rows costs 1 of these 8.8 | 40 rows a leaf instead of 102 | text scans 5 % more at 0.95, 30 %
**         at 0.99; words 1 to 8. Not built
**     away from what a filter admits, a per-query dimension that explains what was found is better than quartiles of
**         the table's | tried, never above the table's | text, five regions, k = 10, 0.90 and 0.95: 0.904 and 0.939
**         (quartiles 0.886 and 0.930), 0.99 not better. Quartiles farther apart the higher the recall: 0.915, 0.959,
**         0.995, for 30 to 40 % more rows; words 7 to 9 % more rows. A tenth less apart was built
**     queries unlike the rows, without a filter, asked for 0.95, k = 10: words at random 0.885, means of two 0.925;
**         descriptors at random 0.95, means of two 0.89, near the mean of all 0.43; text at random 0.67, near the mean
**         0.69 | tried: the law of search_away.c over a sample of all rows, dimensions times a factor that explains
**         what the shards so far gave, quartiles' ratio to the 1.5 | descriptors 0.89, 0.98, 0.96; text at random
**         0.96, near the mean 0.86; descriptors with much noise 0.91 at 17,000 rows instead of 0.977 at 455,000. But
**         rows like those of the table would scan ten times as many, so it must know whom to serve: the ratio of the
**         k-th distance and the first shard's tells those near the mean (0.33, of rows 98 % below 0.12), the latter
**         those far out, neither words at random or means of two. Not built
**     left through SQL: 42 % of the CPU is the kernel copying into files, 14.6 KB a row of 3 KB (SQLite's log, its
**         pages, our log, the segment); training in floats 12 to 20 % of a flush; encoding 15 %
**     (300,000 x 768 was built 11 times as fast as by hnswlib in CPU seconds, 7.5 times in wall time, 23 s of 175:
**     quiet. What follows was measured on a machine five to nine times overbooked, so in CPU seconds and waits of one
**     thread. Floor: SQLite 1.24 GB of pages, 0.93 GB that spill, a segment of 1.08 GB. This virtual machine takes
**     2.5 CPU seconds for each GB of memory that it touches first, page cache included, 0.3 for memory it had a
**     moment ago: by that some 11 of the quiet 30 s for 4.5 GB)
**     where the writer is alone: inserting 7.4 CPU s, COMMIT 4.2 (checksums of SQLite's whole log once more, copying
**         it into the database), while the build takes 10 to 12 on both processors | loads without a log, 32 MB of
**         pages in the cache, for all engines alike (above) | 22.5 -> 17 CPU s; the writer's own 11.6 -> 4.9; 1M x
**         128 19.7 -> 15.1, words 5.6 -> 4.9. With a log and the larger cache: 20.3
**     the writer copies what spills into the page cache, 1 s of 5 | a thread does, half of the 32 MB at a time
**         (spill.h) | inserting 4.4 to 6.6 -> 3.9 to 4.3 CPU s of the writer, 2.1 to 2.4 of the thread
**     both processors wait for the disk at the end of a segment | it is sent there 16 MB at a time while it is
**         written (sync_file_range) | fsync 0.85 -> 0.03 s, for 61 calls of 12 ms beside the encoding
**     a segment without zeros on its large pages first: a copy less of 1 GB | tried | 22.6 and 20.1 CPU s instead of
**         21.5 and 21.0: nothing that can be told
**     left: writing the segment 3.4 to 3.8 of the build's 10 to 12 CPU s, memory first touched; the spill could be
**         the segment's vectors where it stands (0.9 GB less; another format); SQLite's fsync, 1 s, before the build
**         starts
**
** Ledger of the commit path (commits.c; one row a transaction, WAL mode, CPU time of plain / shardex; wall times and
** the bulk rates below were taken on a busy machine). Floor: the same three pages (narrow row, vector, state row),
** written by hand with ordinary tables, cost 1.4 x plain at 768-d, 1.8 x at 128-d. At 768-d each row takes a new page,
** and then its parent and page 1 are written as well: five pages, of plain three.
**     gap | change | result
**     2026-11-21: 0.53 at 768-d, 0.39 at 128-d, 0.36 at 16-d before any change; 77,000 instructions a commit, of which
**         the checksums of SQLite's log 15,000; one fstat and one pwrite are ours
**     the ring of recent commits | in the row that is written anyway, always of one size | no page more, about 1 us
**     the state row was read before it was written | the UPDATE names the index | 74,000 instructions, with the ring;
**         0.52, 0.37, 0.34 on the busier machine. Left: the look for a row of the same rowid 3,200, copies of the ring
**     65,700 instructions at 16-d, 148,500 at 768-d (plain 15,300 and 85,700; the vector's making included) | a new row
**         is written without a look for its rowid; after an own commit the state row is known by SQLite's data version;
**         digests on the stack | 54,800 and 137,700; CPU 33 to 30 us at 16-d beside 12, 37 to 35 at 128-d beside 14.
**         Two thirds of it are the kernel's: 7 writes (two a page, one of ours, a twelfth of the whole) and 6 locks.
**         What is left to save is a page: vectors of few bytes in the narrow row (not done: two layouts)
**     FULL: 0.63 of plain on a disk that takes an fsync in 80 us, the floor 0.9 | files are asked for their size
**         without their times (os_posix.c) | 0.63 to 0.75 at 768-d, 0.60 to 0.78 at 128-d, as without a log; with an
**         fsync of 1.1 ms 0.95 and 0.97. An fsync of five pages takes 10 us more than one of one. NORMAL: 2 to 5 us of
**         CPU less. (What was taken for a disk of 4 ms is the scheduler's tick on a busy machine)
**     four times getpid, 0.14 us each; 5,400 instructions to find no NaN in 768 | the process id is known until a fork;
**         elements are tested a register at a time | 1 us less. With both steps CPU 65 to 58 us at 768-d (plain 31), 33
**         to 30 at 128-d (15), 31 to 29 at 16-d (11). The 29: plain 11; floor, two pages and two statements, 11; our
**         log 2.3 (a write 1.9, statx 0.4); SQLite's part of a virtual table 1.5; our code 1.7. The 58: plain 31, floor
**         14, log 4, SQLite 3, our code 4, first touches of the delta's memory 2.5
**     the log's writes gathered, 16 commits at a time | not done | 1.5 to 2.5 us, for which other processes would read
**         the rows of each commit from the database
**     the floor of FULL, and what would lower it | all sides in one process, in memory, an fsync that keeps the
**         processor for 80 us, CPU | shardex 0.83 of plain at 768-d, 0.84 at 128-d; three tables by hand 0.91 and 0.92;
**         with the state row in the last leaf of the narrow rows 0.94 and 0.94; hashes and vector in one row 0.96 and
**         0.95. Not done: that leaf has no room for the ring, and the state row would take the largest rowid, which is
**         the user's, and behind which SQLite chooses rowids by chance; with one row for both, counting, conditions and
**         comparisons read a page for each vector (1M x 768: 4 GB instead of 25 MB). Of the 8 % between floor and
**         shardex: a ring of 400 bytes instead of 3,840, 0.5 us at 128-d and nothing at 768-d; without what xCommit
**         leaves in memory 1 us; the rest is our log's write, SQLite's part of a virtual table, and no step over 0.5 us
**     2026-11-22, nothing beside it, three runs, wall time | none | NORMAL 0.52 to 0.58 at 768-d, 0.40 to 0.44 at
**         128-d, 0.36 to 0.39 at 16-d; FULL 0.80 to 0.83 and 0.83 to 0.85 where an fsync takes 0.1 ms (floor 0.93 to
**         0.97), 0.90 to 0.95 and 0.93 to 0.99 where 0.5 ms, 0.93 to 0.96 and 0.96 to 1.03 where 1.3 ms: what a commit
**         adds is some 45 us at 768-d, so the tenth that is asked for begins at 0.4 ms
**     bulk, one transaction | none | 0.6 of plain at 768-d, 0.5 at 128-d; floor 0.9 and 0.65
*/
#include <sqlite3.h>

#include "measure.h"

enum { SETTINGS_MAX = 16 };

typedef struct {
    const char *name;
    const char *open;   /* run on each connection before anything else */
    const char *create; /* %1$d dimensions, %2$s metric, %3$zu rows, %4$s work folder; so in all templates */
    const char *insert; /* ?1 rowid, ?2 vector */
    const char *finish; /* after the commit */
    const char *serve;  /* on the connection that queries, before it does */
    const char *query;  /* ?1 vector, ?2 the setting; rowid first */
    const char *parts;  /* name and MB of what the mapped files consist of */
    const char *cosine; /* the engine's words for the metrics */
    const char *l2;
    const char *setting; /* what ?2 is */
    double settings[SETTINGS_MAX];
} engine;

static const engine ENGINES[] = {
    {.name = "shardex",
     .create = "CREATE VIRTUAL TABLE t USING shardex(v float[%1$d] distance_metric=%2$s)",
     .insert = "INSERT INTO t(rowid, v) VALUES (?1, ?2)",
     .finish = "INSERT INTO t(t) VALUES ('optimize')",
     .query = "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10 AND recall = ?2",
     .parts = "SELECT replace(name, '_bytes', ' MB'), value / 1048576.0 FROM shardex_stats('t') WHERE name IN "
              "('code_bytes', 'refine_bytes', 'id_bytes', 'directory_bytes', 'vector_bytes', 'anonymous_bytes')",
     .cosine = "cosine",
     .l2 = "l2",
     .setting = "recall",
     .settings = {0.8, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999}},
    {.name = "sqlite-vec",
     .create = "CREATE VIRTUAL TABLE t USING vec0(v float[%1$d] distance_metric=%2$s)",
     .insert = "INSERT INTO t(rowid, v) VALUES (?1, ?2)",
     .query = "SELECT rowid, distance FROM t WHERE v MATCH ?1 AND k = 10",
     .cosine = "cosine",
     .l2 = "L2",
     .setting = "flat",
     .settings = {1}},
    {.name = "vectorlite",
     .create = "CREATE VIRTUAL TABLE t USING vectorlite(v float32[%1$d] %2$s, "
               "hnsw(max_elements=%3$zu, M=16, ef_construction=200), '%4$s/bench.hnsw')",
     .insert = "INSERT INTO t(rowid, v) VALUES (?1, ?2)",
     .query = "SELECT rowid, distance FROM t WHERE knn_search(v, knn_param(?1, 10, ?2))",
     .cosine = "cosine",
     .l2 = "l2",
     .setting = "ef",
     .settings = {10, 20, 40, 80, 120, 200, 400, 800, 1600}},
    {.name = "sqlite-vector-8bit",
     .open = "SELECT vector_init('t', 'v', 'dimension=%1$d,type=FLOAT32,distance=%2$s')",
     .create = "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)",
     .insert = "INSERT INTO t(id, v) VALUES (?1, ?2)",
     .finish = "SELECT vector_quantize('t', 'v')",
     .serve = "SELECT vector_quantize_preload('t', 'v')",
     .query = "SELECT rowid, distance FROM vector_quantize_scan('t', 'v', ?1, 10)",
     .cosine = "COSINE",
     .l2 = "L2",
     .setting = "quantized",
     .settings = {1}},
    {.name = "sqlite-vector-full",
     .open = "SELECT vector_init('t', 'v', 'dimension=%1$d,type=FLOAT32,distance=%2$s')",
     .create = "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)",
     .insert = "INSERT INTO t(id, v) VALUES (?1, ?2)",
     .query = "SELECT rowid, distance FROM vector_full_scan('t', 'v', ?1, 10)",
     .cosine = "COSINE",
     .l2 = "L2",
     .setting = "flat",
     .settings = {1}},
};

typedef struct {
    const engine *engine;
    dataset set;
    const char *extension;
    const char *folder;
    sqlite3 *db;
    sqlite3_stmt *statement;
    double setting;
} session;

static void need_ok(const session *run, int rc) {
    if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
    fprintf(stderr, "bench: %s: %s\n", run->engine->name, run->db ? sqlite3_errmsg(run->db) : sqlite3_errstr(rc));
    exit(1);
}

/* Runs one of the engine's templates; NULL is nothing to do. */
static void run_template(session *run, const char *template) {
    char sql[PATH_SIZE];
    if (template == NULL) return;
    snprintf(sql, sizeof sql, template, (int)run->set.dimensions,
             run->set.cosine ? run->engine->cosine : run->engine->l2, run->set.row_count, run->folder);
    need_ok(run, sqlite3_exec(run->db, sql, NULL, NULL, NULL));
}

static void open_database(session *run) {
    char path[PATH_SIZE];
    need_ok(run, sqlite3_open(path_in(path, run->folder, "bench.db"), &run->db));
    need_ok(run, sqlite3_enable_load_extension(run->db, 1));
    need_ok(run, sqlite3_load_extension(run->db, run->extension, NULL, NULL));
}

static void use_log(session *run) {
    need_ok(run, sqlite3_exec(run->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL", NULL, NULL, NULL));
}

static void prepare(session *run, const char *sql) {
    need_ok(run, sqlite3_prepare_v2(run->db, sql, -1, &run->statement, NULL));
}

static void close_database(session *run) {
    sqlite3_finalize(run->statement);
    need_ok(run, sqlite3_close(run->db));
}

static void insert_rows(session *run) {
    const dataset *set = &run->set;
    int size = (int)(set->dimensions * sizeof(float));
    prepare(run, run->engine->insert);
    need_ok(run, sqlite3_exec(run->db, "BEGIN", NULL, NULL, NULL));
    for (size_t row = 0; row < set->row_count; row++) {
        sqlite3_bind_int64(run->statement, 1, (sqlite3_int64)row + 1);
        sqlite3_bind_blob(run->statement, 2, set->base + row * set->dimensions, size, SQLITE_STATIC);
        need_ok(run, sqlite3_step(run->statement));
        need_ok(run, sqlite3_reset(run->statement));
        if (row % 16384 == 0) dataset_forget(set);
    }
    need_ok(run, sqlite3_exec(run->db, "COMMIT", NULL, NULL, NULL));
    sqlite3_finalize(run->statement);
    run->statement = NULL;
}

static void build(session *run) {
    stopwatch start = stopwatch_start();
    open_database(run);
    need_ok(run, sqlite3_exec(run->db, "PRAGMA cache_size=-32768", NULL, NULL, NULL));
    run_template(run, run->engine->create);
    run_template(run, run->engine->open);
    insert_rows(run);
    double insert_seconds = wall_seconds() - start.wall;
    use_log(run);
    run_template(run, run->engine->finish);
    close_database(run);
    print_build(run->engine->name, &run->set, insert_seconds, start);
}

/* A whole number is bound as one: knn_param takes nothing else. */
static void bind_setting(session *run) {
    if (sqlite3_bind_parameter_count(run->statement) < 2) return;
    sqlite3_int64 whole = (sqlite3_int64)run->setting;
    if ((double)whole == run->setting)
        sqlite3_bind_int64(run->statement, 2, whole);
    else
        sqlite3_bind_double(run->statement, 2, run->setting);
}

static size_t answer(void *context, const float *query, int64_t *ret_rows) {
    session *run = context;
    size_t count = 0;
    int rc;
    sqlite3_bind_blob(run->statement, 1, query, (int)(run->set.dimensions * sizeof(float)), SQLITE_STATIC);
    bind_setting(run);
    while ((rc = sqlite3_step(run->statement)) == SQLITE_ROW) {
        if (count < ANSWERS) ret_rows[count++] = sqlite3_column_int64(run->statement, 0);
    }
    need_ok(run, rc);
    need_ok(run, sqlite3_reset(run->statement));
    return count;
}

static void print_parts(const session *run) {
    sqlite3_stmt *parts = NULL;
    if (run->engine->parts == NULL) return;
    need_ok(run, sqlite3_prepare_v2(run->db, run->engine->parts, -1, &parts, NULL));
    while (sqlite3_step(parts) == SQLITE_ROW)
        print_fact(run->engine->name, (const char *)sqlite3_column_text(parts, 0), sqlite3_column_double(parts, 1));
    need_ok(run, sqlite3_finalize(parts));
}

static void query(session *run) {
    int64_t rows[ANSWERS];
    double start = wall_seconds();
    run->setting = run->engine->settings[0];
    open_database(run);
    use_log(run);
    run_template(run, run->engine->open);
    run_template(run, run->engine->serve);
    prepare(run, run->engine->query);
    answer(run, run->set.queries, rows);
    print_fact(run->engine->name, "first answer ms", 1e3 * (wall_seconds() - start));
    for (size_t i = 0; i < SETTINGS_MAX && run->engine->settings[i] > 0; i++) {
        char label[64];
        run->setting = run->engine->settings[i];
        if (sqlite3_bind_parameter_count(run->statement) < 2)
            snprintf(label, sizeof label, "%s", run->engine->setting);
        else
            snprintf(label, sizeof label, "%s %g", run->engine->setting, run->setting);
        measure_setting(run->engine->name, label, &run->set, answer, run);
    }
    print_serving(run->engine->name);
    print_parts(run);
    close_database(run);
}

static const engine *find_engine(const char *name) {
    for (size_t i = 0; i < sizeof ENGINES / sizeof *ENGINES; i++) {
        if (strcmp(ENGINES[i].name, name) == 0) return &ENGINES[i];
    }
    fail("no such engine");
    return NULL;
}

int main(int argument_count, char **arguments) {
    if (argument_count != 6) fail("usage: driver build|query ENGINE EXTENSION SET_FOLDER WORK_FOLDER");
    session run = {.engine = find_engine(arguments[2]), .extension = arguments[3], .folder = arguments[5]};
    int building = strcmp(arguments[1], "build") == 0;
    dataset_open(&run.set, arguments[4], !building);
    (building ? build : query)(&run);
    return 0;
}
