#!/bin/sh
# A command to be tuned: it prints lines that tinytune reads, one for each step and one at the end.
#
#   tinytune run --minimize loss --param "x=float(-2, 2) = 0" --param "y=float(-2, 2) = 0" \
#       --search cma-es --trials 40 -- sh examples/valley.sh {x} {y}
awk -v x="$1" -v y="$2" 'BEGIN {
    loss = (x - 1) ^ 2 + 10 * (y - x * x) ^ 2
    for (step = 1; step <= 4; step++) print "tinytune: step=" step " loss=" loss + 1 / step
    print "tinytune: loss=" loss
}'
