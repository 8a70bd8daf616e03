package main

import (
	"strings"

	"github.com/tarnlake/tarn/objects"
)

// splitLabels takes the labels off drives that are named with them, such as
// zone=a:rack=r1:/mnt/d1.
func splitLabels(named []string) (paths []string, labels []objects.Labels, err error) {
	for _, drive := range named {
		var pairs []string
		for {
			pair, rest, found := strings.Cut(drive, ":")
			if !found || !isLabel(pair) {
				break
			}
			pairs, drive = append(pairs, pair), rest
		}
		l, err := objects.ParseLabels(pairs)
		if err != nil {
			return nil, nil, err
		}
		paths, labels = append(paths, drive), append(labels, l)
	}
	return paths, labels, nil
}

func isLabel(pair string) bool {
	name, _, found := strings.Cut(pair, "=")
	return found && (name == "zone" || name == "rack" || name == "node")
}
