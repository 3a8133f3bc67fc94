# gnuplot -e "folder='…'; set_name='…'; title_text='…'" plot.gp
# Draws SET-recall.svg and SET-build.svg from the files of table.py.
set terminal svg size 860,520 font "sans-serif,13" background rgb "white" dynamic
stats folder.'/'.set_name.'.points' using 1:2 nooutput
engines = STATS_blocks

# Recall is drawn by what is missing, on a log scale: 0.99 is as far from 0.9 as that is from nothing.
missing(recall) = -log10(1.0005 - recall)
set output folder.'/'.set_name.'-recall.svg'
set title title_text noenhanced
set xlabel "recall@10" noenhanced
set ylabel "queries per second (one thread, CPU time)"
set logscale y
set xrange [missing(0.7):missing(1) + 0.05]
set xtics ("0.7" missing(0.7), "0.8" missing(0.8), "0.9" missing(0.9), "0.95" missing(0.95), "0.98" missing(0.98), \
    "0.99" missing(0.99), "0.995" missing(0.995), "0.999" missing(0.999), "1" missing(1))
set format y "%.0f"
set grid xtics ytics mytics lc rgb "#cccccc" lw 0.5
set key outside right top samplen 2 noenhanced
plot for [i=0:engines-1] folder.'/'.set_name.'.points' index i using (missing($1)):2 with linespoints \
    lw (i == 0 ? 3 : 1.5) pt 7 ps 0.6 title columnheader(1)

set output folder.'/'.set_name.'-build.svg'
set multiplot layout 1,2 title title_text noenhanced
unset title
unset xlabel
set xrange [*:*]
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set xtics autofreq rotate by -35 noenhanced
set key tmargin center horizontal
set format y "%g"
set grid noxtics ytics nomytics lc rgb "#cccccc" lw 0.5
set ylabel "seconds to build, index included"
plot folder.'/'.set_name.'.bars' using 2:xtic(1) lc rgb "#3366aa" notitle
set yrange [1:*]
set ylabel "memory of the process, MB"
plot folder.'/'.set_name.'.bars' using 3:xtic(1) lc rgb "#999999" title "building", \
    '' using 4 lc rgb "#dd7733" title "answering"
unset multiplot
