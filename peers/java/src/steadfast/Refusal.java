// Why the program cannot do what is asked, for whoever asked.
package steadfast;

/** What is wrong and how to mend it, in one sentence. Ends the program with 1. */
final class Refusal extends Exception {
    private static final long serialVersionUID = 1;

    Refusal(String sentence) {
        super(sentence);
    }
}
