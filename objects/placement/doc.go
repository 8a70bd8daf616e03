// Package placement decides which drives get the shards of a stripe. Its nouns
// are Layout, Domain and Report.
//
// A failure domain is what fails at once: a zone, a rack, a node, a device, or
// a folder on a device. Each lies within those before it:
//
//	zone ── rack ── node ── device ── folder
//
// A level of the layout is safe when no domain of it needs to hold more than m
// shards of a stripe. Choose spreads every stripe evenly over the domains of the
// coarsest safe level, and within each of them over the finer ones. Where even
// the devices are too few, it spreads over folders, and the Report says what
// the loss of one domain then costs.
//
// Everything here is a pure function of its arguments: it may be called by many
// goroutines at once, and nothing outlives a call. Whether a drive is well, and
// what to do when too few are, is for package objects.
package placement
