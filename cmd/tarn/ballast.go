package main

import (
	"os"
	"runtime"
)

// ballastBytes are counted as living memory by Go's collector, which therefore runs
// when so much more garbage has come.
const ballastBytes = 128 << 20

// ballast is never touched, so that it takes no memory but addresses.
var ballast []byte

// spareCollector lets a server with little in memory collect its garbage less often:
// with 60 MiB alive it would run with every 60 MiB allocated, some ten times a second
// while keys are listed, which took half of their CPU (4.7 ms a page of 1,000, and 2.3
// with it; 23 November 2026). GOGC in the environment has its way.
func spareCollector() {
	if os.Getenv("GOGC") == "" {
		ballast = make([]byte, ballastBytes)
		runtime.KeepAlive(ballast) // it is read nowhere else
	}
}
