# gnuplot -e "folder='…'; set_name='…'; title_text='…'" plot.gp
# Draws SET-recall.svg and SET-build.svg from the files of table.py.
set terminal svg size 860,520 font "sans-serif,13" background rgb "white" dynamic
stats folder.'/'.set_name.'.points' using 1:2 nooutput
engines = STATS_blocks

set output folder.'/'.set_name.'-recall.svg'
set title title_text noenhanced
set xlabel "recall@10"
set ylabel "queries per second (one thread, CPU time)"
set logscale y
set xrange [0.7:1.005]
set format y "%'.0f"
set grid xtics ytics mytics lc rgb "#dddddd"
set key outside right top samplen 2
plot for [i=0:engines-1] folder.'/'.set_name.'.points' index i using 1:2 with linespoints lw 2 pt 7 ps 0.6 \
    title columnheader(1)

set output folder.'/'.set_name.'-build.svg'
unset logscale y
unset xrange
set multiplot layout 1,2 title title_text noenhanced
set style data histogram
set style histogram clustered gap 1
set style fill solid 0.85 border -1
set xtics rotate by -35 noenhanced
set key inside top right
set xlabel ""
set logscale y
set grid ytics lc rgb "#dddddd"
set ylabel "seconds to build, index included"
plot folder.'/'.set_name.'.bars' using 2:xtic(1) lc rgb "#3366aa" notitle
set ylabel "memory, MB"
plot folder.'/'.set_name.'.bars' using 3:xtic(1) lc rgb "#999999" title "building", \
    '' using 4 lc rgb "#dd7733" title "answering"
unset multiplot
