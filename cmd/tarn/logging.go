package main

import (
	"io"
	"log/slog"
)

var logLevels = map[string]*slog.Level{
	"debug": level(slog.LevelDebug), "info": level(slog.LevelInfo),
	"warn": level(slog.LevelWarn), "error": level(slog.LevelError),
}

func level(l slog.Level) *slog.Level { return &l }

func newLog(w io.Writer, name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: logLevels[name]}))
}
