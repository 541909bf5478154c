package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// samples are durations of one kind, printed as they come.
type samples struct {
	name string
	ms   []float64
}

func (s *samples) since(start time.Time) {
	ms := float64(time.Since(start).Microseconds()) / 1000
	s.ms = append(s.ms, ms)
	fmt.Printf("%s sample=%d ms=%.1f\n", s.name, len(s.ms), ms)
}

// quantile is the nearest-rank quantile: always a value that was measured.
func (s *samples) quantile(q float64) float64 {
	sorted := slices.Sorted(slices.Values(s.ms))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

func (s *samples) report() {
	if len(s.ms) == 0 {
		fmt.Printf("%s n=0\n", s.name)
		return
	}
	fmt.Printf("%s n=%d min=%.1f median=%.1f p95=%.1f max=%.1f unit=ms\n", s.name, len(s.ms),
		slices.Min(s.ms), s.quantile(0.5), s.quantile(0.95), slices.Max(s.ms))
}
