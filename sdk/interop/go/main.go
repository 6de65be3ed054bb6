// Command interop runs scenarios with the official Go remoting client against one name server address and prints one
// JSON line for each. Arguments: name server address, broker addresses separated by commas, run id, and scenario names
// separated by commas or "all"; "list" alone prints the names.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/apache/rocketmq-client-go/v2/rlog"
)

const parallel = 8

type scenario func(c *scene)

var scenarios = map[string]scenario{
	"go-send-sync":         sendSync,
	"go-send-async":        sendAsync,
	"go-send-oneway":       sendOneway,
	"go-send-batch":        sendBatch,
	"go-send-big":          sendBig,
	"go-send-errors":       sendErrors,
	"go-send-unknown":      sendUnknownTopic,
	"go-push-clustering":   pushClustering,
	"go-push-broadcasting": pushBroadcasting,
	"go-push-restart":      pushRestart,
	"go-tag-filter":        tagFilter,
	"go-orderly":           orderly,
	"go-delay-level":       delayLevel,
	"go-retry-to-dlq":      retryToDlq,
	"go-pull":              pull,
	"go-pull-poll":         pullPoll,

	"go-plugin-acl-send":         pluginSend,
	"go-plugin-acl-pull":         pluginPull,
	"go-plugin-acl-rate":         pluginRate,
	"go-plugin-acl-route":        pluginRoute,
	"go-plugin-acl-registration": pluginRegistration,
	"go-plugin-filter":           pluginFilter,
	"go-plugin-fates":            pluginFates,
	"go-plugin-required-tag":     pluginRequiredTag,
}

func main() {
	rlog.SetLogLevel("fatal")
	if level := os.Getenv("INTEROP_GO_LOG"); level != "" {
		rlog.SetLogLevel(level)
	}
	names := make([]string, 0, len(scenarios))
	for name := range scenarios {
		names = append(names, name)
	}
	sort.Strings(names)
	if len(os.Args) < 5 {
		fmt.Println(strings.Join(names, "\n"))
		return
	}
	if os.Args[4] != "all" {
		names = strings.Split(os.Args[4], ",")
	}
	var printing sync.Mutex
	var running sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, name := range names {
		running.Add(1)
		go func(name string) {
			defer running.Done()
			slots <- struct{}{}
			c := newScene(name, os.Args[1], strings.Split(os.Args[2], ","), os.Args[3])
			begun := time.Now()
			c.run(scenarios[name])
			line := c.transcript(time.Since(begun).Milliseconds())
			printing.Lock()
			fmt.Println(line)
			printing.Unlock()
			c.close()
			<-slots
		}(name)
	}
	running.Wait()
}

type transcript struct {
	Scenario string         `json:"scenario"`
	Outcome  string         `json:"outcome"`
	Facts    map[string]any `json:"facts"`
	Why      []string       `json:"why"`
	Ms       int64          `json:"ms"`
}

func (c *scene) transcript(ms int64) string {
	c.lock.Lock()
	defer c.lock.Unlock()
	outcome := "ok"
	if len(c.why) > 0 {
		outcome = "fail"
	}
	line, err := json.Marshal(transcript{c.name, outcome, c.facts, c.why, ms})
	if err != nil {
		return fmt.Sprintf(`{"scenario":%q,"outcome":"fail","facts":{},"why":["transcript"],"ms":0}`, c.name)
	}
	return strings.ReplaceAll(string(line), c.runID, "RUN")
}
