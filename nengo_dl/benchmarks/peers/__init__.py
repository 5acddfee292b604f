"""What is measured, each in a process of its own, in its own interpreter where need be.

`process` is the parent; the other modules run in the child, where `worker` loads them without the
package around them.
"""
