#include "CSignalRZlib.h"
