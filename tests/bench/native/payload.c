#define _GNU_SOURCE
#include "payload.h"

#include <stdarg.h>

#define MARK "@T0000000000000000000;"
#define MARK_DIGITS 19

/* JSON is written with ' for " below, and \\' for an escaped one inside a string. */
#define EVENT(name, json) "event: " name "\ndata: " json "\n\n"
#define DELTA(index, kind, member) \
    EVENT("content_block_delta", "{'type':'content_block_delta','index':" index ",'delta':{'type':'" kind \
                                 "','" member "':'%s'}}")
#define STOP_BLOCK(index) EVENT("content_block_stop", "{'type':'content_block_stop','index':" index "}")
#define CHUNK(choices) \
    "data: {'id':'chatcmpl-bench','object':'chat.completion.chunk','created':1750000000,'model':'gpt-bench'," \
    "'system_fingerprint':'fp_bench','choices':[" choices "]"
#define CHOICE(delta, finish) "{'index':0,'delta':" delta ",'logprobs':null,'finish_reason':" finish "}"
#define OPENAI_DELTA(delta) CHUNK(CHOICE(delta, "null")) "}\n\n"
#define TOOL_ARGUMENTS(text) "{'tool_calls':[{'index':0,'function':{'arguments':'" text "'}}]}"

static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\n"
    "request-id: req_bench0000000000000001\r\ntransfer-encoding: chunked\r\n\r\n";
static const char ANSWER_HEAD[] =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench0000000000000001\r\n"
    "content-length: %zu\r\n\r\n";
static const char FILLER[] =
    "The quick brown fox reads the file, edits two lines, runs the tests and reports what it saw. ";

struct piece {
    char *bytes;
    size_t length;
    char *digits; /* of the mark, NULL without one */
};

/* One dialect's answers; [1] is the variant that calls a tool. */
static struct script {
    struct piece head, text, text_end, tool_start, tool, end[2], answer[2];
} scripts[DIALECTS];

static void set(struct piece *p, char *bytes, size_t length) {
    free(p->bytes);
    char *mark = strstr(bytes, "@T");
    *p = (struct piece){.bytes = bytes, .length = length, .digits = mark ? mark + 2 : NULL};
}

static char *text_of(const char *format, va_list args) {
    char *text;
    if (vasprintf(&text, format, args) < 0) die("vasprintf");
    for (char *c = text; (c = strchr(c, '\'')); *c = '"') {}
    return text;
}

/* `text` framed as one HTTP chunk. */
static void set_chunk(struct piece *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = text_of(format, args), *bytes;
    va_end(args);
    int length = asprintf(&bytes, "%zx\r\n%s\r\n", strlen(text), text);
    if (length < 0) die("asprintf");
    free(text);
    set(p, bytes, (size_t)length);
}

/* The same, with the empty chunk that ends a body behind it. */
static void end_body(struct piece *p) {
    char *bytes;
    int length = asprintf(&bytes, "%s0\r\n\r\n", p->bytes);
    if (length < 0) die("asprintf");
    set(p, bytes, (size_t)length);
}

static void set_answer(struct piece *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *body = text_of(format, args), *head, *bytes;
    va_end(args);
    if (asprintf(&head, ANSWER_HEAD, strlen(body)) < 0) die("asprintf");
    int length = asprintf(&bytes, "%s%s", head, body);
    if (length < 0) die("asprintf");
    free(head);
    free(body);
    set(p, bytes, (size_t)length);
}

static char *filler(int n) {
    char *text = grown(NULL, (size_t)n + 1);
    for (int i = 0; i < n; i++) text[i] = FILLER[(size_t)i % (sizeof FILLER - 1)];
    text[n] = 0;
    return text;
}

static void build_anthropic(struct script *a, const char *delta, const char *answer, int deltas) {
    set_chunk(&a->head,
              EVENT("message_start",
                    "{'type':'message_start','message':{'id':'msg_bench01','type':'message','role':'assistant',"
                    "'model':'claude-bench','content':[],'stop_reason':null,'stop_sequence':null,'usage':{"
                    "'input_tokens':20123,'cache_creation_input_tokens':0,'cache_read_input_tokens':0,"
                    "'output_tokens':1}}}")
              EVENT("content_block_start",
                    "{'type':'content_block_start','index':0,'content_block':{'type':'text','text':''}}")
              EVENT("ping", "{'type': 'ping'}"));
    set_chunk(&a->text, DELTA("0", "text_delta", "text"), delta);
    set_chunk(&a->text_end, STOP_BLOCK("0"));
    set_chunk(&a->tool_start,
              EVENT("content_block_start",
                    "{'type':'content_block_start','index':1,'content_block':{'type':'tool_use',"
                    "'id':'toolu_bench01','name':'Read','input':{}}}")
              DELTA("1", "input_json_delta", "partial_json"), "{\\'file_path\\': \\'");
    set_chunk(&a->tool, DELTA("1", "input_json_delta", "partial_json"), delta);
    for (int calls = 0; calls < 2; calls++) {
        const char *reason = calls ? "tool_use" : "end_turn";
        set_chunk(&a->end[calls], "%s"
                  EVENT("message_delta", "{'type':'message_delta','delta':{'stop_reason':'%s','stop_sequence':null},"
                                         "'usage':{'output_tokens':%d}}")
                  EVENT("message_stop", "{'type':'message_stop'}"),
                  !calls ? STOP_BLOCK("0")
                         : EVENT("content_block_delta", "{'type':'content_block_delta','index':1,'delta':{"
                                 "'type':'input_json_delta','partial_json':'\\'}'}}") STOP_BLOCK("1"),
                  reason, deltas);
        end_body(&a->end[calls]);
        set_answer(&a->answer[calls],
                   "{'id':'msg_bench01','type':'message','role':'assistant','model':'claude-bench',"
                   "'content':[{'type':'text','text':'%s'}%s],'stop_reason':'%s','stop_sequence':null,"
                   "'usage':{'input_tokens':20123,'cache_creation_input_tokens':0,'cache_read_input_tokens':0,"
                   "'output_tokens':300}}", answer,
                   calls ? ",{'type':'tool_use','id':'toolu_bench01','name':'Read',"
                           "'input':{'file_path':'/a/b.py'}}" : "", reason);
    }
}

static void build_openai(struct script *o, const char *delta, const char *answer, int deltas) {
    set_chunk(&o->head, OPENAI_DELTA("{'role':'assistant','content':''}"));
    set_chunk(&o->text, OPENAI_DELTA("{'content':'%s'}"), delta);
    set_chunk(&o->tool_start,
              OPENAI_DELTA("{'tool_calls':[{'index':0,'id':'call_bench01','type':'function','function':{"
                           "'name':'Read','arguments':'{\\'file_path\\': \\''}}]}"));
    set_chunk(&o->tool, OPENAI_DELTA(TOOL_ARGUMENTS("%s")), delta);
    for (int calls = 0; calls < 2; calls++) {
        const char *reason = calls ? "tool_calls" : "stop";
        set_chunk(&o->end[calls],
                  "%s" CHUNK(CHOICE("{}", "'%s'")) "}\n\n"
                  CHUNK("") ",'usage':{'prompt_tokens':20123,'completion_tokens':%d,'total_tokens':%d}}\n\n"
                  "data: [DONE]\n\n",
                  calls ? OPENAI_DELTA(TOOL_ARGUMENTS("\\'}")) : "", reason, deltas, 20123 + deltas);
        end_body(&o->end[calls]);
        set_answer(&o->answer[calls],
                   "{'id':'chatcmpl-bench','object':'chat.completion','created':1750000000,'model':'gpt-bench',"
                   "'choices':[{'index':0,'message':{'role':'assistant','content':'%s'%s},'logprobs':null,"
                   "'finish_reason':'%s'}],'usage':{'prompt_tokens':20123,'completion_tokens':300,"
                   "'total_tokens':20423}}", answer,
                   calls ? ",'tool_calls':[{'id':'call_bench01','type':'function','function':{'name':'Read',"
                           "'arguments':'{\\'file_path\\': \\'/a/b.py\\'}'}}]" : "", reason);
    }
}

void payload_build(const struct settings *s) {
    char *text = filler(s->text), *answer = filler(s->answer), *delta;
    if (asprintf(&delta, MARK " %s", text) < 0) die("asprintf");
    build_anthropic(&scripts[ANTHROPIC], delta, answer, s->chunks + s->tool_chunks);
    build_openai(&scripts[OPENAI], delta, answer, s->chunks + s->tool_chunks);
    free(text);
    free(answer);
    free(delta);
}

static void put(struct buffer *out, const struct piece *p) {
    size_t at = out->length;
    append(out, p->bytes, p->length);
    if (!p->digits) return;
    char *digits = out->bytes + at + (p->digits - p->bytes);
    uint64_t t = now_ns();
    for (int i = MARK_DIGITS - 1; i >= 0; i--, t /= 10) digits[i] = (char)('0' + t % 10);
}

void payload_answer(struct buffer *out, enum dialect dialect, const struct settings *s) {
    put(out, &scripts[dialect].answer[s->tool_chunks > 0]);
}

int payload_last_step(const struct settings *s) {
    return s->chunks + s->tool_chunks + 1;
}

void payload_step(struct buffer *out, enum dialect dialect, const struct settings *s, int step) {
    const struct script *script = &scripts[dialect];
    if (step == 0) {
        append(out, STREAM_HEAD, sizeof STREAM_HEAD - 1);
        put(out, &script->head);
    } else if (step <= s->chunks) {
        put(out, &script->text);
    } else if (step < payload_last_step(s)) {
        if (step == s->chunks + 1) {
            if (script->text_end.bytes) put(out, &script->text_end);
            put(out, &script->tool_start);
        }
        put(out, &script->tool);
    } else {
        put(out, &script->end[s->tool_chunks > 0]);
    }
}
