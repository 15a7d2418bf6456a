#include "app/app.h"

int main(int argc, char** argv) {
    return havn::app::run(argc, argv);
}
