// The scenario's producer properties, under Kafka's names: which are given, what the profile says of the others, and what
// franz-go has no counterpart of.
//
// What a scenario does not say is Kafka's default (or the profile's), not franz-go's: every subject is asked for the same.

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kafkaDefaults are Kafka 4's own, of the properties that options.go translates.
var kafkaDefaults = map[string]string{
	"acks":                                     "all",
	"batch.size":                               "16384",
	"buffer.memory":                            "33554432",
	"client.id":                                "",
	"compression.gzip.level":                   "-1",
	"compression.type":                         "none",
	"compression.zstd.level":                   "3",
	"connections.max.idle.ms":                  "540000",
	"delivery.timeout.ms":                      "120000",
	"enable.idempotence":                       "true",
	"linger.ms":                                "5",
	"max.in.flight.requests.per.connection":    "5",
	"max.request.size":                         "1048576",
	"metadata.max.age.ms":                      "300000",
	"partitioner.adaptive.partitioning.enable": "true",
	"partitioner.ignore.keys":                  "false",
	"request.timeout.ms":                       "30000",
	"retries":                                  "2147483647",
	"retry.backoff.max.ms":                     "1000",
	"retry.backoff.ms":                         "100",
	"socket.connection.setup.timeout.ms":       "10000",
}

// profiles are what producer/src/config/properties.rs has in place of Kafka's defaults; the sizes of socket buffers are
// left to the system here, as its throughput profile does.
var profiles = map[string]map[string]string{
	"kafka":       {},
	"low-latency": {"linger.ms": "0", "max.in.flight.requests.per.connection": "1"},
	"throughput":  {"batch.size": "262144", "buffer.memory": "134217728"},
}

// aliases are librdkafka's names, which scenarios may use too.
var aliases = map[string]string{
	"compression.codec":                  "compression.type",
	"max.in.flight":                      "max.in.flight.requests.per.connection",
	"message.max.bytes":                  "max.request.size",
	"message.send.max.retries":           "retries",
	"message.timeout.ms":                 "delivery.timeout.ms",
	"queue.buffering.max.ms":             "linger.ms",
	"request.required.acks":              "acks",
	"topic.metadata.refresh.interval.ms": "metadata.max.age.ms",
}

// settings are the values of all properties, as text, with the mistakes found while they were read.
type settings struct {
	values map[string]string
	// notes are sentences for standard error: what was understood and cannot be had.
	notes []string
	// wrong is the first value that cannot be read.
	wrong error
}

// readSettings puts what is given over what the profile says.
func readSettings(given map[string]string) (*settings, error) {
	name, isGiven := given["profile"]
	if !isGiven {
		name = "kafka"
	}
	profile, known := profiles[name]
	if !known {
		return nil, fmt.Errorf("profile %q: give kafka, low-latency or throughput", name)
	}
	s := &settings{values: maps.Clone(kafkaDefaults)}
	maps.Copy(s.values, profile)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		value := strings.TrimSpace(given[name])
		if kafkas, isAlias := aliases[name]; isAlias {
			name = kafkas
		}
		_, known := s.values[name]
		switch {
		case known:
			s.values[name] = value
		case name == "queue.buffering.max.kbytes":
			kilobytes := s.number(name, value)
			s.values["buffer.memory"] = strconv.FormatInt(kilobytes*1024, 10)
		case name != "profile":
			s.note("%s has no counterpart in franz-go and is left out", name)
		}
	}
	if s.wrong != nil {
		return nil, s.wrong
	}
	return s, nil
}

func (s *settings) note(format string, arguments ...any) {
	s.notes = append(s.notes, fmt.Sprintf(format, arguments...))
}

// text is a value as it is written.
func (s *settings) text(name string) string {
	return s.values[name]
}

// integer is a whole number.
func (s *settings) integer(name string) int64 {
	return s.number(name, s.values[name])
}

// flag is true or false.
func (s *settings) flag(name string) bool {
	switch strings.ToLower(s.values[name]) {
	case "true":
		return true
	case "false":
		return false
	}
	s.refuse(name, s.values[name], "true or false")
	return false
}

// millis is a time in milliseconds, of which linger.ms has fractions; centuries are as good as for ever.
func (s *settings) millis(name string) time.Duration {
	const most = float64(100 * 365 * 24 * time.Hour)
	value, err := strconv.ParseFloat(s.values[name], 64)
	if err != nil || !(value >= 0) {
		s.refuse(name, s.values[name], "milliseconds from 0 up")
		return 0
	}
	return time.Duration(min(value*float64(time.Millisecond), most))
}

// within is millis, moved into the bounds that franz-go takes; a note says so where that changes it.
func (s *settings) within(name string, least, most time.Duration) time.Duration {
	wish := s.millis(name)
	bounded := max(least, min(wish, most))
	if bounded != wish {
		s.note("%s = %s: franz-go takes %v to %v, so it is %v", name, s.values[name], least, most, bounded)
	}
	return bounded
}

func (s *settings) number(name, value string) int64 {
	number, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		s.refuse(name, value, "a whole number")
	}
	return number
}

func (s *settings) refuse(name, value, give string) {
	if s.wrong == nil {
		s.wrong = fmt.Errorf("%s = %q: give %s", name, value, give)
	}
}
