/*
 * A thread that makes the tokens of an answer, one after the other, while JavaScript works on those before. No headers: see native.c. What stands between
 * the two threads is guarded by a mutex, and nothing of JavaScript's is touched here.
 */
typedef unsigned long long u64;
extern void *calloc(u64 count, u64 size);
extern void free(void *memory);
extern void *dlopen(const char *path, int flags);
extern void *dlsym(void *library, const char *name);
extern int pthread_create(u64 *thread, const void *attributes, void *(*work)(void *), void *argument);
extern int pthread_join(u64 thread, void **result);
extern int pthread_setname_np(u64 thread, const char *name);
extern int pthread_mutex_init(void *mutex, const void *attributes);
extern int pthread_mutex_lock(void *mutex);
extern int pthread_mutex_unlock(void *mutex);
extern int pthread_cond_init(void *condition, const void *attributes);
extern int pthread_cond_signal(void *condition);
extern int pthread_cond_wait(void *condition, void *mutex);
extern int clock_gettime(int clock, long *time);

/* `struct llama_batch` of llama.h; `noctem_loop_new` holds against it what llama.cpp makes of one. */
struct batch {
  int n_tokens;
  int *token;
  float *embd;
  int *pos;
  int *n_seq_id;
  int **seq_id;
  signed char *logits;
};

/* What is used of libllama, and how JavaScript is woken: a call that any thread may make. */
struct library {
  struct batch (*batch_init)(int tokens, int embeddings, int sequences);
  void (*batch_free)(struct batch batch);
  int (*decode)(void *context, struct batch batch);
  int (*sample)(void *sampler, void *context, int index);
  int (*is_eog)(const void *vocab, int token); /* a bool, of which only the lowest byte counts */
  void (*set_threads)(void *context, int generate, int batch);
  void (*attach)(void *context, void *generate, void *batch);
  void (*detach)(void *context);
  void (*wake)(void);
};

struct step {
  double ms;
  int token;
  int threads; /* on which it was begun */
  int late;    /* they were not worth waiting for, and one thread made it */
};

/* In native.c too: what llama.cpp looks at while it decodes. */
struct flag {
  double until;
  volatile unsigned char set;
};

/* Tokens that may lie here untaken. So far it runs ahead at most, and so much is thrown away where an answer ends by its text. */
#define ROOM 16

struct loop {
  struct step taken; /* first, because JavaScript reads it */
  const struct library *library;
  void *context;
  const void *vocab;
  struct flag *flag;
  struct batch batch; /* of one token */
  u64 thread;
  u64 mutex[16], changed[16]; /* more than any pthread_mutex_t and pthread_cond_t */

  /* All below is under the mutex. */
  int running, stop, quit;
  int asked; /* JavaScript waits to be woken */
  void *sampler;
  int position; /* tokens that the context holds */
  int left;     /* tokens to make */
  int end;      /* one that ends a turn, besides the model's own */
  int threads, wanted_threads;
  void *wanted_pool;
  double patience; /* milliseconds that several threads may take for a token; 0 for ever */
  int result; /* of the last llama_decode: 0 is fine, 2 is interrupted */
  struct step ring[ROOM];
  int first, count;
};

static double now(void) {
  long time[2];
  clock_gettime(1, time);
  return time[0] * 1e3 + time[1] / 1e6;
}

/* The mutex is open meanwhile: JavaScript must never wait for more than a few instructions. */
static void wake(struct loop *loop) {
  if (!loop->asked) return;
  loop->asked = 0;
  pthread_mutex_unlock(loop->mutex);
  loop->library->wake();
  pthread_mutex_lock(loop->mutex);
}

static void settle_threads(struct loop *loop) {
  if (loop->threads == loop->wanted_threads) return;
  loop->threads = loop->wanted_threads;
  loop->library->set_threads(loop->context, loop->threads, loop->threads);
  if (loop->wanted_pool) loop->library->attach(loop->context, loop->wanted_pool, loop->wanted_pool);
  else loop->library->detach(loop->context);
}

/*
 * Several threads wait for each other by spinning, and where another program holds one's core they take seconds for a token of milliseconds. So that is not waited for: one thread makes it,
 * and those after it, until JavaScript says otherwise. Returns what `llama_decode` did; the mutex is open meanwhile.
 */
static int decode(struct loop *loop, int *late) {
  double patience = loop->threads > 1 ? loop->patience : 0;
  int result;
  *late = 0;
  loop->flag->until = patience > 0 ? now() + patience : 0;
  pthread_mutex_unlock(loop->mutex);
  result = loop->library->decode(loop->context, loop->batch);
  pthread_mutex_lock(loop->mutex);
  loop->flag->until = 0;
  if (result != 2 || patience <= 0 || loop->flag->set || loop->stop) return result;
  *late = 1;
  loop->wanted_threads = 1;
  loop->wanted_pool = 0;
  settle_threads(loop);
  pthread_mutex_unlock(loop->mutex);
  result = loop->library->decode(loop->context, loop->batch);
  pthread_mutex_lock(loop->mutex);
  return result;
}

/* Begins where the last token of a prompt has been decoded. */
static void run(struct loop *loop) {
  const struct library *library = loop->library;
  double begun = now();
  int threads = loop->threads, late = 0;
  for (;;) {
    struct step step;
    struct step *place;
    double done;
    int result;
    void *sampler = loop->sampler;
    step.threads = threads;
    step.late = late;
    pthread_mutex_unlock(loop->mutex);
    step.token = library->sample(sampler, loop->context, -1);
    done = now();
    step.ms = done - begun;
    begun = done;
    pthread_mutex_lock(loop->mutex);
    place = &loop->ring[(loop->first + loop->count) % ROOM];
    *place = step;
    loop->count++;
    loop->left--;
    if (step.token == loop->end || (library->is_eog(loop->vocab, step.token) & 0xff)) loop->left = 0;
    if (loop->left > 0) wake(loop);
    while (loop->count == ROOM && loop->left > 0 && !loop->stop) {
      pthread_cond_wait(loop->changed, loop->mutex);
      begun = now();
    }
    if (loop->left <= 0 || loop->stop) return;
    settle_threads(loop);
    *loop->batch.token = step.token;
    *loop->batch.pos = loop->position;
    threads = loop->threads;
    result = decode(loop, &late);
    loop->result = result;
    if (result != 0) return;
    loop->position++;
  }
}

static void *work(void *argument) {
  struct loop *loop = argument;
  pthread_mutex_lock(loop->mutex);
  for (;;) {
    while (!loop->running && !loop->quit) pthread_cond_wait(loop->changed, loop->mutex);
    if (loop->quit) break;
    run(loop);
    settle_threads(loop);
    loop->running = 0;
    wake(loop);
  }
  pthread_mutex_unlock(loop->mutex);
  return 0;
}

/* `path`: of a libllama that is loaded. 0 where a function is missing. Never freed: there is one for a copy of the library. */
u64 noctem_loop_library(const char *path, u64 wake_code) {
  void *llama = dlopen(path, 1);
  struct library *library = llama ? calloc(1, sizeof(struct library)) : 0;
  if (!library) return 0;
  library->batch_init = dlsym(llama, "llama_batch_init");
  library->batch_free = dlsym(llama, "llama_batch_free");
  library->decode = dlsym(llama, "llama_decode");
  library->sample = dlsym(llama, "llama_sampler_sample");
  library->is_eog = dlsym(llama, "llama_vocab_is_eog");
  library->set_threads = dlsym(llama, "llama_set_n_threads");
  library->attach = dlsym(llama, "llama_attach_threadpool");
  library->detach = dlsym(llama, "llama_detach_threadpool");
  library->wake = (void (*)(void))wake_code;
  if (library->batch_init && library->batch_free && library->decode && library->sample && library->is_eog && library->set_threads &&
      library->attach && library->detach && library->wake)
    return (u64)library;
  free(library);
  return 0;
}

/* With a thread that sleeps until it is told to run. 0 where a batch does not look as it should, or there is no memory or no thread. */
u64 noctem_loop_new(u64 library, u64 context, u64 vocab, u64 flag) {
  struct loop *loop = calloc(1, sizeof(struct loop));
  struct batch *batch;
  if (!loop) return 0;
  loop->library = (const struct library *)library;
  loop->context = (void *)context;
  loop->vocab = (const void *)vocab;
  loop->flag = (struct flag *)flag;
  loop->batch = loop->library->batch_init(1, 0, 1);
  batch = &loop->batch;
  /* As it comes from llama.cpp: no tokens yet, no embeddings, and a list of sequences that ends with nothing. */
  if (batch->n_tokens == 0 && batch->token && !batch->embd && batch->pos && batch->n_seq_id && batch->seq_id && batch->seq_id[0] &&
      !batch->seq_id[1] && batch->logits) {
    batch->n_tokens = 1;
    batch->n_seq_id[0] = 1;
    batch->seq_id[0][0] = 0;
    batch->logits[0] = 1;
    pthread_mutex_init(loop->mutex, 0);
    pthread_cond_init(loop->changed, 0);
    if (pthread_create(&loop->thread, 0, work, loop) == 0) {
      pthread_setname_np(loop->thread, "token-loop");
      return (u64)loop;
    }
  }
  free(loop);
  return 0;
}

void noctem_loop_begin(u64 address, u64 sampler, int position, int left, int end, int threads, double patience) {
  struct loop *loop = (struct loop *)address;
  pthread_mutex_lock(loop->mutex);
  loop->sampler = (void *)sampler;
  loop->position = position;
  loop->left = left;
  loop->end = end;
  loop->threads = loop->wanted_threads = threads;
  loop->patience = patience;
  loop->first = loop->count = loop->stop = loop->asked = loop->result = 0;
  loop->running = 1;
  pthread_cond_signal(loop->changed);
  pthread_mutex_unlock(loop->mutex);
}

/* For the decodes that come. */
void noctem_loop_use(u64 address, int threads, u64 pool, double patience) {
  struct loop *loop = (struct loop *)address;
  pthread_mutex_lock(loop->mutex);
  loop->wanted_threads = threads;
  loop->wanted_pool = (void *)pool;
  loop->patience = patience;
  pthread_mutex_unlock(loop->mutex);
}

/* 1: a step lies in `taken`. 0: none yet; JavaScript will be woken. 2: none will come. */
int noctem_loop_take(u64 address) {
  struct loop *loop = (struct loop *)address;
  int answer = 1;
  pthread_mutex_lock(loop->mutex);
  if (loop->count > 0) {
    loop->taken = loop->ring[loop->first];
    loop->first = (loop->first + 1) % ROOM;
    if (loop->count-- == ROOM) pthread_cond_signal(loop->changed);
  } else if (loop->running) {
    loop->asked = 1;
    answer = 0;
  } else answer = 2;
  pthread_mutex_unlock(loop->mutex);
  return answer;
}

/* Whether it runs still; then JavaScript will be woken. */
int noctem_loop_stop(u64 address) {
  struct loop *loop = (struct loop *)address;
  int running;
  pthread_mutex_lock(loop->mutex);
  loop->stop = 1;
  running = loop->running;
  loop->asked = running;
  pthread_cond_signal(loop->changed);
  pthread_mutex_unlock(loop->mutex);
  return running;
}

/* Only while it does not run. */
int noctem_loop_position(u64 address) { return ((struct loop *)address)->position; }
int noctem_loop_threads(u64 address) { return ((struct loop *)address)->threads; }
int noctem_loop_result(u64 address) { return ((struct loop *)address)->result; }

/* Only while it does not run. */
void noctem_loop_free(u64 address) {
  struct loop *loop = (struct loop *)address;
  pthread_mutex_lock(loop->mutex);
  loop->quit = 1;
  pthread_cond_signal(loop->changed);
  pthread_mutex_unlock(loop->mutex);
  pthread_join(loop->thread, 0);
  loop->library->batch_free(loop->batch);
  free(loop);
}
