package main

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	rocketmq "github.com/apache/rocketmq-client-go/v2"
	"github.com/apache/rocketmq-client-go/v2/admin"
	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
	"github.com/apache/rocketmq-client-go/v2/producer"
)

var clients atomic.Int64

// overTLS makes every client speak TLS; it trusts any certificate, as the client can do nothing else.
var overTLS = os.Getenv("INTEROP_TLS") == "true"

// user is who signs every request; nobody does if the environment names none.
var user = primitive.Credentials{AccessKey: os.Getenv("INTEROP_ACCESS_KEY"), SecretKey: os.Getenv("INTEROP_SECRET_KEY")}

// scene holds one scenario's names, clients and facts; its clients are shut down when the scenario ends.
type scene struct {
	name, namesrv, runID string
	brokers              []string
	lock                 sync.Mutex
	facts                map[string]any
	why                  []string
	closers              []func()
	sender               rocketmq.Producer
}

func newScene(name, namesrv string, brokers []string, runID string) *scene {
	return &scene{name: name, namesrv: namesrv, runID: runID, brokers: brokers, facts: map[string]any{}, why: []string{}}
}

func (c *scene) run(s scenario) {
	defer func() {
		if problem := recover(); problem != nil {
			c.fail("%v", problem)
		}
	}()
	if s == nil {
		c.fail("no such scenario")
		return
	}
	s(c)
}

func (c *scene) close() {
	for i := len(c.closers) - 1; i >= 0; i-- {
		c.closers[i]()
	}
}

func (c *scene) fail(format string, args ...any) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.why = append(c.why, fmt.Sprintf(format, args...))
}

func (c *scene) fact(key string, value any) {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.facts[key] = value
}

// expect notes a fact that the scenario itself can judge.
func (c *scene) expect(key string, expected, actual any) {
	c.fact(key, actual)
	if !reflect.DeepEqual(expected, actual) {
		c.fail("%s: expected %v, got %v", key, expected, actual)
	}
}

func (c *scene) must(what string, err error) {
	if err != nil {
		panic(fmt.Sprintf("%s: %v", what, err))
	}
}

func (c *scene) await(what string, limit time.Duration, done func() bool) bool {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if done() {
			return true
		}
	}
	c.fail("not within %v: %s", limit, what)
	return false
}

func (c *scene) named(suffix string) string { return c.name + "-" + suffix + "-" + c.runID }

func (c *scene) servers() primitive.NsResolver {
	return primitive.NewPassthroughResolver([]string{c.namesrv})
}

func instance() string { return fmt.Sprintf("interop-%d-%d", os.Getpid(), clients.Add(1)) }

// topic creates a topic on every broker and waits until the name server routes to all of its queues.
func (c *scene) topic(suffix string, queues int) string {
	topic := c.named(suffix)
	made := c.administration()
	for _, broker := range c.brokers {
		if !user.IsEmpty() {
			// The client's admin part signs what it asks of brokers from its first question about groups on.
			_, err := made.GetAllSubscriptionGroup(context.Background(), broker, 5*time.Second)
			c.must("groups", err)
		}
		c.must("create topic", made.CreateTopic(context.Background(), admin.WithTopicCreate(topic), admin.WithBrokerAddrCreate(broker),
			admin.WithReadQueueNums(queues), admin.WithWriteQueueNums(queues)))
	}
	c.await("route of "+topic, 40*time.Second, func() bool { return len(c.queues(topic)) == queues*len(c.brokers) })
	return topic
}

// administration is the client's admin part, which is one connection pool for the whole process.
func (c *scene) administration() administration {
	made, err := admin.NewAdmin(admin.WithResolver(c.servers()), admin.WithTls(overTLS), admin.WithCredentials(user))
	c.must("admin", err)
	return made
}

type administration interface {
	GetAllSubscriptionGroup(ctx context.Context, brokerAddr string, timeout time.Duration) (*admin.SubscriptionGroupWrapper, error)
	CreateTopic(ctx context.Context, options ...admin.OptionCreate) error
	FetchPublishMessageQueues(ctx context.Context, topic string) ([]*primitive.MessageQueue, error)
}

// queues returns the queues that the name server routes to, none where it knows no such topic.
func (c *scene) queues(topic string) []*primitive.MessageQueue {
	found, err := c.administration().FetchPublishMessageQueues(context.Background(), topic)
	if err != nil {
		return nil
	}
	return found
}

func (c *scene) producer(options ...producer.Option) rocketmq.Producer {
	if c.sender == nil {
		made, err := rocketmq.NewProducer(append([]producer.Option{producer.WithNsResolver(c.servers()), producer.WithInstanceName(instance()),
			producer.WithGroupName(c.named("P")), producer.WithSendMsgTimeout(10 * time.Second), producer.WithRetry(2),
			producer.WithTls(overTLS), producer.WithCredentials(user)}, options...)...)
		c.must("producer", err)
		c.must("start producer", made.Start())
		c.closers = append(c.closers, func() { _ = made.Shutdown() })
		c.sender = made
	}
	return c.sender
}

func (c *scene) send(message *primitive.Message) *primitive.SendResult {
	result, err := c.producer().SendSync(context.Background(), message)
	c.must("send", err)
	if result.Status != primitive.SendOK {
		c.fail("status %v", result.Status)
	}
	return result
}

func (c *scene) sendMany(topic, prefix string, count int) {
	for i := 0; i < count; i++ {
		c.send(message(topic, "A", fmt.Sprintf("%s-key-%d", prefix, i), fmt.Sprintf("%s-%d", prefix, i)))
	}
}

func message(topic, tag, key, body string) *primitive.Message {
	m := primitive.NewMessage(topic, []byte(body))
	if tag != "" {
		m.WithTag(tag)
	}
	if key != "" {
		m.WithKeys([]string{key})
	}
	return m
}

func (c *scene) consumerOptions(group string, options []consumer.Option) []consumer.Option {
	return append([]consumer.Option{consumer.WithNsResolver(c.servers()), consumer.WithInstance(instance()), consumer.WithGroupName(group),
		consumer.WithConsumeFromWhere(consumer.ConsumeFromFirstOffset), consumer.WithTls(overTLS),
		consumer.WithCredentials(user)}, options...)
}

// push starts a push consumer; the handler may be nil.
func (c *scene) push(group, topic, tags string, handle handler, options ...consumer.Option) (rocketmq.PushConsumer, *seen) {
	got := &seen{}
	made, err := rocketmq.NewPushConsumer(c.consumerOptions(group, options)...)
	c.must("consumer", err)
	c.must("subscribe", made.Subscribe(topic, consumer.MessageSelector{Type: consumer.TAG, Expression: tags},
		func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error) {
			got.add(messages...)
			if handle != nil {
				return handle(ctx, messages...)
			}
			return consumer.ConsumeSuccess, nil
		}))
	c.must("start consumer", made.Start())
	c.closers = append(c.closers, func() { _ = made.Shutdown() })
	return made, got
}

type handler func(ctx context.Context, messages ...*primitive.MessageExt) (consumer.ConsumeResult, error)

// collect consumes a topic with a group of its own until it has seen so many messages.
func (c *scene) collect(topic string, count int) []*primitive.MessageExt {
	_, got := c.push(c.named("COLLECT"), topic, "*", nil)
	c.await(fmt.Sprintf("%d messages of %s", count, topic), 30*time.Second, func() bool { return got.len() >= count })
	return got.all()
}

// seen is what a listener got, in its order.
type seen struct {
	lock     sync.Mutex
	messages []*primitive.MessageExt
}

func (s *seen) add(messages ...*primitive.MessageExt) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.messages = append(s.messages, messages...)
}

func (s *seen) all() []*primitive.MessageExt {
	s.lock.Lock()
	defer s.lock.Unlock()
	return append([]*primitive.MessageExt{}, s.messages...)
}

func (s *seen) len() int { return len(s.all()) }

// bodies returns the distinct bodies, sorted.
func bodies(messages []*primitive.MessageExt) []string {
	distinct := map[string]bool{}
	for _, m := range messages {
		distinct[string(m.Body)] = true
	}
	sorted := make([]string, 0, len(distinct))
	for body := range distinct {
		sorted = append(sorted, body)
	}
	sort.Strings(sorted)
	return sorted
}

// properties returns a message's properties with the values that differ from run to run replaced by their length.
func properties(m *primitive.MessageExt) map[string]string {
	all := m.GetProperties()
	for _, changing := range []string{"UNIQ_KEY", "CONSUME_START_TIME", "ORIGIN_MESSAGE_ID", "MAX_OFFSET", "MIN_OFFSET"} {
		if value, there := all[changing]; there {
			all[changing] = fmt.Sprintf("length %d", len(value))
		}
	}
	return all
}

var answered = regexp.MustCompile(`CODE: (-?\d+)`)

// failure names the kind of an error: the response code where a broker answered, which this client puts into a text.
func failure(err error) string {
	if err == nil {
		return "none"
	}
	if code := answered.FindStringSubmatch(err.Error()); code != nil {
		return "broker " + code[1]
	}
	return "client"
}
