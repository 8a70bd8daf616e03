package drive

// RecordBytes is the room that a record with a payload of so many bytes takes in
// its extent.
func RecordBytes(payloadBytes int) int64 { return recordBytes(payloadBytes) }
