/* Nothing is included: the compiler inside Bun has no headers beside a compiled program. Node-API comes from Bun itself, the rest from libc. */
typedef struct NapiEnv *napi_env;
typedef void *napi_value;
typedef unsigned long long u64;
extern int napi_unwrap(napi_env env, napi_value object, void **result);
extern int pipe(int *ends);
extern int close(int end);
extern long write(int end, const void *from, u64 size);
extern void *calloc(u64 count, u64 size);
extern void free(void *memory);
extern long read(int end, void *to, u64 size);

/* Where the native object behind a wrapped one lies, or 0. */
u64 noctem_unwrap(napi_env env, napi_value object) {
  void *native = 0;
  return napi_unwrap(env, object, &native) == 0 ? (u64)native : 0;
}

/*
 * The eight bytes at an address, or 0 where nothing can be read: a wrong address is an answer and not a crash. Through a pipe, because the kernel then
 * does the looking; process_vm_readv, which is made for it, is refused in a cage.
 */
u64 noctem_word(u64 address) {
  u64 word = 0;
  int ends[2];
  if (pipe(ends) != 0) return 0;
  if (write(ends[1], (const void *)address, 8) != 8 || read(ends[0], &word, 8) != 8) word = 0;
  close(ends[0]);
  close(ends[1]);
  return word;
}

extern int clock_gettime(int clock, long *time);

/* What native threads may look at while JavaScript runs; in token-loop.c too. 0 where there is no memory. */
struct flag {
  double until; /* milliseconds of the monotonic clock after which it is set by itself; 0 for never */
  volatile unsigned char set;
};
u64 noctem_flag_new(void) { return (u64)calloc(1, sizeof(struct flag)); }
void noctem_flag_set(u64 flag, unsigned char value) { ((struct flag *)flag)->set = value; }
void noctem_flag_free(u64 flag) { free((void *)flag); }

/* llama.cpp asks this from its own threads whether to stop, where JavaScript must not be called. */
static _Bool noctem_is_set(void *address) {
  struct flag *flag = address;
  long time[2];
  if (flag->set) return 1;
  if (flag->until == 0) return 0;
  clock_gettime(1, time);
  return time[0] * 1e3 + time[1] / 1e6 > flag->until;
}
u64 noctem_is_set_code(void) { return (u64)&noctem_is_set; }
