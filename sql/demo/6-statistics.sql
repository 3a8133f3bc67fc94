-- What the index consists of now.
.mode column --wrap 0
.headers on
.print
.print '== The index, from shardex_info =='
SELECT key AS name, value FROM json_each(shardex_info('words'));
