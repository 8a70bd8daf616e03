package journal

import (
	"fmt"

	"github.com/tarnlake/tarn/objects/index"
)

// Describe says what lies in a record of the journal: a line for the record, and one
// for each of its entries.
func Describe(payload []byte) []string {
	h, err := decodeRecord(payload)
	if err != nil {
		return []string{err.Error()}
	}
	lines := []string{fmt.Sprintf("epoch %d, entries %d to %d, acknowledged through %d, trimmed through %d", h.epoch, h.first, h.last(), h.acknowledged, h.trimmed)}
	for sequence, entry := range entriesOf(payload) {
		p, err := index.DecodeProposal(entry)
		if err != nil {
			lines = append(lines, fmt.Sprintf("%d: %v", sequence, err))
			continue
		}
		text := fmt.Sprintf("%d: %d conditions", sequence, len(p.Conditions))
		for i, m := range p.Mutations {
			if i == describedMax {
				text += fmt.Sprintf(", and %d more", len(p.Mutations)-i)
				break
			}
			text += fmt.Sprintf(", %s %q %d bytes", [...]string{"?", "put", "delete", "delete from"}[min(int(m.Kind), 3)], m.Key, len(m.Value))
		}
		lines = append(lines, text)
	}
	return lines
}

// describedMax bounds the mutations that are told of one entry.
const describedMax = 8
