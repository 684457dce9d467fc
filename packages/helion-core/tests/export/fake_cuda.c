/* Stands in for libcuda.so.1, and for libamdhip64.so: does nothing, and writes every call that matters to the file FAKE_CUDA_LOG as a line of
   JSON. FAKE_CUDA_SIZES holds the bytes of each kernel parameter, so that they can be read by pointer. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static FILE *log_file(void) { return fopen(getenv("FAKE_CUDA_LOG"), "a"); }

int cuCtxGetCurrent(void **context) { *context = NULL; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = (void *)0xC0; return 0; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int cuModuleLoadData(void **module, const char *image) {
    if (memcmp(image, "\177ELF", 4)) return 200;
    *module = (void *)0xA0;
    return 0;
}
int cuGetErrorString(int status, const char **text) {
    *text = status == 200 ? "device kernel image is invalid" : "made up";
    return 0;
}

int cuCtxSetCurrent(void *context) {
    FILE *f = log_file();
    fprintf(f, "{\"call\": \"context\", \"context\": %llu}\n", (unsigned long long)(uintptr_t)context);
    return fclose(f);
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    FILE *f = log_file();
    fprintf(f, "{\"call\": \"function\", \"name\": \"%s\"}\n", name);
    *function = (void *)0xF0;
    return fclose(f);
}

int cuFuncSetAttribute(void *function, int attribute, int value) {
    FILE *f = log_file();
    fprintf(f, "{\"call\": \"attribute\", \"attribute\": %d, \"value\": %d}\n", attribute, value);
    return fclose(f);
}

int cuTensorMapEncodeTiled(unsigned char *map, int type, unsigned rank, void *address, const uint64_t *sizes,
                           const uint64_t *strides, const uint32_t *box, const uint32_t *steps, int interleave,
                           int swizzle, int promotion, int fill) {
    if ((uintptr_t)map % 64) return 1;
    FILE *f = log_file();
    fprintf(f, "{\"call\": \"map\", \"type\": %d, \"rank\": %u, \"address\": %llu, \"swizzle\": %d, \"sizes\": [", type,
            rank, (unsigned long long)(uintptr_t)address, swizzle);
    for (unsigned k = 0; k < rank; k++) fprintf(f, "%s%llu", k ? ", " : "", (unsigned long long)sizes[k]);
    fprintf(f, "], \"strides\": [");
    for (unsigned k = 0; k + 1 < rank; k++) fprintf(f, "%s%llu", k ? ", " : "", (unsigned long long)strides[k]);
    fprintf(f, "], \"box\": [");
    for (unsigned k = 0; k < rank; k++) fprintf(f, "%s%u", k ? ", " : "", box[k]);
    fprintf(f, "], \"rest\": [%u, %d, %d, %d]}\n", steps[0], interleave, promotion, fill);
    memset(map, 0xFF, 128);
    return fclose(f);
}

static int launch(const char *call, void *function, const unsigned *where, void *stream, void **parameters) {
    FILE *f = log_file();
    fprintf(f, "{\"call\": \"%s\", \"function\": %llu, \"where\": [%u, %u, %u, %u, %u, %u], \"shared\": %u, ", call,
            (unsigned long long)(uintptr_t)function, where[0], where[1], where[2], where[3], where[4], where[5],
            where[6]);
    fprintf(f, "\"stream\": %llu, \"parameters\": [", (unsigned long long)(uintptr_t)stream);
    char *sizes = strdup(getenv("FAKE_CUDA_SIZES"));
    char *rest;  /* threads launch at the same time, and strtok has one state for all of them */
    int k = 0;
    for (char *word = strtok_r(sizes, ",", &rest); word; word = strtok_r(NULL, ",", &rest), k++) {
        fprintf(f, "%s\"", k ? ", " : "");
        for (int b = 0; b < atoi(word); b++) fprintf(f, "%02x", ((unsigned char *)parameters[k])[b]);
        fprintf(f, "\"");
    }
    free(sizes);
    fprintf(f, "]}\n");
    return fclose(f);
}

int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **parameters, void **extra) {
    unsigned where[] = {gx, gy, gz, bx, by, bz, shared};
    return extra ? 1 : launch("launch", function, where, stream, parameters);
}

int cuLaunchCooperativeKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                              unsigned bz, unsigned shared, void *stream, void **parameters) {
    unsigned where[] = {gx, gy, gz, bx, by, bz, shared};
    return launch("cooperative launch", function, where, stream, parameters);
}

int hipModuleLoadData(void **module, const char *image) { return cuModuleLoadData(module, image); }
const char *hipGetErrorString(int status) { return status == 200 ? "invalid image" : "made up"; }

int hipModuleGetFunction(void **function, void *module, const char *name) {
    return cuModuleGetFunction(function, module, name);
}

int hipModuleLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *stream, void **parameters, void **extra) {
    unsigned where[] = {gx, gy, gz, bx, by, bz, shared};
    return extra ? 1 : launch("hip launch", function, where, stream, parameters);
}

int hipModuleLaunchCooperativeKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                                     unsigned bz, unsigned shared, void *stream, void **parameters) {
    unsigned where[] = {gx, gy, gz, bx, by, bz, shared};
    return launch("cooperative hip launch", function, where, stream, parameters);
}
