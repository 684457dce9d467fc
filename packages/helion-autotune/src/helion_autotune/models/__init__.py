"""Models that predict a point's time from trials. In: vectors and times. Out: predicted log time with its
uncertainty."""
