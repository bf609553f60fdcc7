"""What a graph computes, whatever the model: calls made flat, joins, parts, and questions that it is asked."""
