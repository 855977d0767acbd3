package broker

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// logger hands the server's log to slog, and keeps what the server calls fatal:
// in its own process the server would exit there, in ours Start returns it.
type logger struct {
	log *slog.Logger

	mu         sync.Mutex
	fatal      error
	died       chan struct{} // closed with the first fatal error
	violations violations
	now        func() time.Time
}

func newLogger(log *slog.Logger) *logger {
	return &logger{log: log, died: make(chan struct{}), now: time.Now}
}

func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Warnf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	if strings.HasPrefix(line, "Plaintext passwords") {
		return // the ledger's is drawn at each start and never leaves the process
	}
	l.log.Warn(line)
}

func (l *logger) Errorf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	address, ok := violator(line)
	if !ok {
		l.log.Error(line)
		return
	}
	l.mu.Lock()
	tell := l.violations.tell(address, l.now())
	l.mu.Unlock()
	if tell {
		l.log.Warn("a client was refused what it may not do; what more of it is refused in this minute is logged for debugging", "refused", line)
		return
	}
	l.log.Debug(line)
}

func (l *logger) Debugf(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }

func (l *logger) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = fmt.Errorf(format, v...)
		close(l.died)
	}
}

func (l *logger) err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
