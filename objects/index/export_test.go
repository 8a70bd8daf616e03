package index

// Flush makes the serving view meet its drive.
func (l *Local) Flush() error {
	m, _, err := l.views.current()
	if err != nil {
		return err
	}
	return m.Flush()
}
