package vectors

import (
	"slices"

	"github.com/tarnlake/tarn/objects"
)

// rowFile is a file of rows with the places of its ids.
type rowFile struct{ rowFileRecord }

func openRowFile(value []byte) (*rowFile, error) {
	blobs, payload, err := objects.DecodeValue(slices.Clone(value))
	if err != nil {
		return nil, err
	}
	rec, err := decodeRowFileRecord(payload)
	rec.file.Blobs = blobs
	return &rowFile{rec}, err
}
